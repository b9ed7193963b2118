import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import type { Browser, Page } from "playwright-core";
import { launchBrowser } from "../support/browser.ts";
import { startServer, type TestServer } from "../support/server.ts";

// An app in the style of the public system, in real browsers: support/ported-app.

const APP = join(import.meta.dir, "..", "support", "ported-app");
const PASSWORD = "correct horse battery";

let server: TestServer;
let browser: Browser;
const problems: string[] = [];

beforeAll(async () => {
  server = await startServer(await loadApp(APP, { dev: false }));
  browser = await launchBrowser();
}, 60_000);
afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** The sign-in page in a separate browser context: its engine runs anonymously. */
async function visitor(): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => problems.push(error.message));
  const connected = page.waitForEvent("websocket");
  await page.goto(server.url);
  await connected;
  return page;
}

async function enter(page: Page, email: string, how: "Log in" | "Create account"): Promise<void> {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: how }).click();
}

const press = (page: Page, name: string): Promise<void> =>
  page.getByRole("button", { name, exact: true }).click();

async function send(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message").fill(text);
  await press(page, "Send");
}

test("an app in the public system's style is live after its own sign-in form", async () => {
  const [ann, bob] = await Promise.all([visitor(), visitor()]);
  await Promise.all([
    enter(ann, "ann@example.com", "Create account"),
    enter(bob, "bob@example.com", "Create account"),
  ]);
  await Promise.all([ann, bob].map((page) => page.locator("h1").waitFor()));

  // The engines started before the sign-ins, and are live with the new sessions.
  await ann.getByLabel("Channel").fill("General");
  await press(ann, "Create");
  await press(bob, "#general");
  // The page opens the channel that `mutate` resolved to, and a rejection is shown as an error.
  await ann.getByRole("region", { name: "general" }).waitFor();
  await ann.getByLabel("Channel").fill("general");
  await press(ann, "Create");
  await ann.getByRole("alert").filter({ hasText: "#general is there already" }).waitFor();

  await send(ann, "one");
  await bob.getByText("one").waitFor();
  await send(bob, "two");
  await ann.getByText("two").waitFor();
  await send(ann, "three");
  await press(ann, "Remind");
  await ann.locator("output").filter({ hasText: "4 messages" }).waitFor();
  await bob.locator("output").filter({ hasText: "4 messages" }).waitFor();
  for (const page of [ann, bob]) {
    await page.locator("li").nth(2).waitFor();
    expect(await page.locator("li").count()).toBe(3);
    await press(page, "More");
    await page.getByText("a reminder").waitFor();
    // No row remains that was shown before its message arrived.
    expect(await page.locator("li").count()).toBe(4);
    expect(await page.getByRole("button", { name: "More" }).isDisabled()).toBe(true);
  }
  await press(ann, "Attach");
  await ann.getByText("5 bytes").waitFor();

  // After a sign-out and a sign-in as another user, the page shows only the other user's data.
  await press(bob, "Log out");
  await bob.getByLabel("E-mail").waitFor();
  await enter(bob, "ann@example.com", "Log in");
  await bob.locator("h1").filter({ hasText: "ann" }).waitFor();
  expect(problems).toEqual([]);
}, 60_000);

test("a wrong password is reported on the page, and a reload keeps the session", async () => {
  const page = await visitor();
  await page.getByLabel("E-mail").fill("ann@example.com");
  await page.getByLabel("Password").fill("wrong");
  await press(page, "Log in");
  await page.getByRole("alert").waitFor();
  await enter(page, "ann@example.com", "Log in");
  await page.locator("h1").filter({ hasText: "ann" }).waitFor();
  await page.reload();
  await page.locator("h1").filter({ hasText: "ann" }).waitFor();
  await press(page, "#general");
  await page.locator("output").filter({ hasText: "4 messages" }).waitFor();
  expect(problems).toEqual([]);
}, 60_000);
