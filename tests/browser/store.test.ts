import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import type { Browser } from "playwright-core";
import { launchBrowser } from "../support/browser.ts";
import { startServer, type TestServer } from "../support/server.ts";

// The store in a browser: an import with its progress, and an order that ships by itself.

const LINES = 2_000;

let server: TestServer;
let browser: Browser;
beforeAll(async () => {
  const app = await loadApp(join(import.meta.dir, "../../examples/store"), { dev: false });
  [server, browser] = await Promise.all([
    startServer(app, { PYLON_SINGLE_PORT: "1" }),
    launchBrowser(),
  ]);
}, 60_000);
afterAll(async () => {
  await browser.close();
  await server.stop();
});

test("an import fills its bar, and an order passes through all its states", async () => {
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on("pageerror", ({ message }) => problems.push(message));
  await page.goto(server.url);
  await page.getByRole("button", { name: "Continue as guest" }).click();
  const lines = Array.from({ length: LINES }, (_, at) => `Cup ${at}, 6.50, 3`);
  await page.getByLabel("Lines: name").waitFor();
  // Typing this much text takes a browser half a minute.
  const text = JSON.stringify(["A teapot, 24.90, 1", ...lines].join("\n"));
  await page.evaluate(`{ const area = document.querySelector("textarea");
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(area, ${text});
    area.dispatchEvent(new Event("input", { bubbles: true })); }`);
  // All values of the bar, in order.
  await page.evaluate(`window.seen = []; new MutationObserver(() => {
    const bar = document.querySelector("progress");
    if (bar !== null && bar.value !== window.seen.at(-1)) window.seen.push(bar.value);
  }).observe(document.body, { subtree: true, childList: true, attributes: true });`);
  await page.getByRole("button", { name: "Import" }).click();
  await page.getByText(`Imported ${LINES + 1} lines`).waitFor();
  const seen = await page.evaluate<number[]>("window.seen");
  expect(seen.at(-1)).toBe(1);
  expect(seen).toEqual(seen.toSorted((one, other) => one - other));
  expect(seen.some((value) => value > 0 && value < 1)).toBe(true);

  await page.getByRole("button", { name: "Order A teapot" }).click();
  await page.getByLabel("A teapot is placed").waitFor();
  await page.getByText("Sold out").waitFor();
  await page.getByText("with the carrier, parcel").waitFor();
  await page.getByRole("button", { name: "It is here" }).click();
  await page.getByLabel("A teapot is delivered").waitFor();
  await page.getByText("with you, parcel").waitFor();
  expect(problems).toEqual([]);
  if (process.env["PYLON_TEST_PICTURE"] !== undefined)
    await page.screenshot({ path: process.env["PYLON_TEST_PICTURE"] });
}, 60_000);
