import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { query } from "@pylonsync/functions";
import { auth, buildManifest, entity, field, policy } from "@pylonsync/sdk";
import type { Browser, Page } from "playwright-core";
import { launchBrowser } from "../support/browser.ts";
import { TestClient } from "../support/client.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const entities = [
  entity("User", { email: field.string().unique() }),
  entity("AnEntityWithARatherLongNameThatAppsOfSomeAgeHaveNowAndThen", {
    titleOfTheWholeThingInItsLongestForm: field.string(),
    done: field.bool().default(false),
    ownerId: field.string().owner(),
  }),
];
const policies = [policy({ name: "own", entity: "User", allow: "auth.userId == data.id" })];
/** Like the mails of many apps: without any colours, and with a link in the middle of the text. */
const mails = {
  "sign-in-code": ({ code = "" }: { readonly code?: string }) => ({
    subject: "Your code",
    text: code,
    html:
      `<!doctype html><p id=first>Your code is ${code}.</p><p><a href="/health">Open ` +
      "it</a></p>",
  }),
};
/** The folder of the screenshots. Set SCREENSHOTS to choose a folder that is kept. */
const shots = process.env["SCREENSHOTS"] ?? mkdtempSync(join(tmpdir(), "pylon-shots-"));
const SCHEMES = ["light", "dark"] as const;

let server: TestServer;
let browser: Browser;

beforeAll(async () => {
  const manifest = buildManifest({
    name: "Dev pages",
    version: "1.2.3",
    entities,
    policies,
    auth: auth({ mails }),
  });
  server = await startServer(appOf(manifest, { hello: query({ handler: () => "hi" }) }), {
    PYLON_DEV_MODE: "1",
    PYLON_HOST: "localhost",
  });
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

async function open(path: string, colorScheme: "light" | "dark", width = 800): Promise<Page> {
  const context = await browser.newContext({ viewport: { width, height: 700 }, colorScheme });
  const page = await context.newPage();
  const refused: string[] = [];
  page.on(
    "console",
    (line) => void (/Content Security Policy/.test(line.text()) && refused.push(line.text())),
  );
  await page.goto(server.url + path);
  expect(refused).toEqual([]);
  return page;
}

const send = (kind: "magic/send" | "magic-link/send", email: string): Promise<unknown> =>
  new TestClient(server.url, null).request("POST", `/api/auth/${kind}`, { email });
const overflows = (page: Page): Promise<boolean> =>
  page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);

/**
 * The darkest and the lightest pixel of an element's picture, from 0 to 255: text in the colour of
 * its background has no range.
 */
async function range(page: Page, selector: string, frame: number): Promise<number> {
  const box = await page.frameLocator("iframe").nth(frame).locator(selector).first().boundingBox();
  if (box === null) throw new Error(`There is no ${selector}.`);
  const picture = (await page.screenshot({ clip: box })).toString("base64");
  return page.evaluate(async (data) => {
    const image = await createImageBitmap(
      new Blob([Uint8Array.from(atob(data), (char) => char.charCodeAt(0))], { type: "image/png" }),
    );
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas?.drawImage(image, 0, 0);
    const greens = Array.from(
      canvas?.getImageData(0, 0, image.width, image.height).data ?? [],
    ).filter((_, index) => index % 4 === 1);
    return (
      greens.reduce((most, value) => Math.max(most, value), 0) -
      greens.reduce((least, value) => Math.min(least, value), 255)
    );
  }, picture);
}

test.each(SCHEMES)(
  "the address of an app without a page shows an overview, in %s and on a phone",
  async (scheme) => {
    const page = await open("/", scheme);
    expect(await page.title()).toBe("Dev pages in dev mode");
    await page.screenshot({ path: join(shots, `dev-home-${scheme}.png`) });
    for (const path of await page
      .getByRole("link")
      .evaluateAll((links) => links.map((link) => link.getAttribute("href")))) {
      expect([path, (await fetch(server.url + (path ?? ""))).status]).toEqual([path, 200]);
    }
    await page.setViewportSize({ width: 320, height: 640 });
    await page.screenshot({ path: join(shots, `dev-home-${scheme}-narrow.png`) });
    expect(await overflows(page)).toBe(false);
    await page.context().close();
  },
);

test.each(SCHEMES)("a mail is readable in %s, whether or not it sets colours", async (scheme) => {
  await send("magic/send", `plain.${scheme}@example.com`);
  await send("magic-link/send", `laid.out.${scheme}@example.com`);
  const page = await open("/studio/mail", scheme);
  await page.locator("summary").nth(1).click();
  await page.screenshot({ path: join(shots, `mail-${scheme}.png`), fullPage: true });
  expect(await range(page, "p", 0)).toBeGreaterThan(120);
  await page.locator("iframe").nth(1).scrollIntoViewIfNeeded();
  expect(await range(page, "#first", 1)).toBeGreaterThan(120);
  await page.setViewportSize({ width: 320, height: 640 });
  expect(await overflows(page)).toBe(false);
  await page.context().close();
});

test("a link in a mail opens a new tab, and the mail stays", async () => {
  await send("magic/send", "ann@example.com");
  const page = await open("/studio/mail", "light");
  const [tab] = await Promise.all([
    page.context().waitForEvent("page"),
    page.frameLocator("iframe").first().getByText("Open it").click(),
  ]);
  await tab.waitForLoadState();
  expect(new URL(tab.url()).pathname).toBe("/health");
  expect(await tab.evaluate(() => window.opener === null)).toBe(true);
  expect(await page.frameLocator("iframe").first().locator("#first").textContent()).toContain(
    "Your code is",
  );
  await page.context().close();
});

test("a new mail appears by itself, and an open one stays open", async () => {
  await send("magic/send", "first@example.com");
  const page = await open("/studio/mail", "light");
  const before = await page.locator("[data-mail]").count();
  await page.locator("summary").nth(1).click();
  await send("magic/send", "second@example.com");
  await page.getByText("to second@example.com").waitFor();
  expect(await page.locator("[data-mail]").count()).toBe(before + 1);
  expect(await page.locator("h1 small").textContent()).toBe(String(before + 1));
  expect(
    await page
      .locator("[data-mail]")
      .evaluateAll((shown) => shown.slice(0, 3).map((mail) => (mail as HTMLDetailsElement).open)),
  ).toEqual([true, true, true]);
  await page.context().close();
});
