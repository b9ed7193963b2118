import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import type { db } from "@pylonsync/react";
import type { Browser, Locator, Page } from "playwright-core";
import { accessibilityProblems } from "../support/accessibility.ts";
import { launchBrowser } from "../support/browser.ts";
import { startServer, type TestServer } from "../support/server.ts";

const root = join(import.meta.dir, "..", "..");

interface AppWindow {
  readonly db: typeof db;
}

let server: TestServer;
let browser: Browser;
let page: Page;
let panel: Locator;
const problems: string[] = [];

beforeAll(async () => {
  const app = await loadApp(join(root, "tests/support/replica-app"), { dev: false });
  server = await startServer(app, { PYLON_SINGLE_PORT: "1" });
  browser = await launchBrowser();
  page = await browser.newPage({ viewport: { width: 1100, height: 720 } });
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => problems.push(error.message));
  await page.goto(`${server.url}/?devtools&queries`);
  panel = page.getByRole("region", { name: "Pylon devtools" });
  await page.evaluate(() => (window as unknown as AppWindow).db.signInAsGuest());
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

const insert = (title: string): Promise<unknown> =>
  page.evaluate(
    (text) => (window as unknown as AppWindow).db.insert("Todo", { title: text }),
    title,
  );
const tab = (name: string): Promise<void> => panel.getByRole("tab", { name }).click();
const row = (text: string | RegExp): Locator => panel.getByRole("row").filter({ hasText: text });
/** Takes a screenshot for the docs if PYLON_PICTURES is set. */
async function picture(name: string): Promise<void> {
  if (process.env["PYLON_PICTURES"] === "1")
    await page.screenshot({ path: join(root, "docs/images", name) });
}

test("the panel shows the connection, queries, rows, the outbox and rejected writes", async () => {
  // Events that happen while the panel is closed are shown later.
  await insert("milk");
  await insert("");
  await page.getByRole("button", { name: "Pylon devtools" }).click();
  await panel.getByText("live, websocket").waitFor();
  await panel.getByText(/^\d+ ms$/).waitFor();

  await row(/Todo.*title asc.*1.*B/).waitFor();
  await tab("Rows");
  await row('"title":"milk"').waitFor();
  await insert("tea");
  await row('"title":"tea"').waitFor();

  await tab("Writes");
  await panel.getByText("No pending writes.").waitFor();
  await row(/insert Todo.*POLICY_DENIED/).waitFor();
  await page.context().setOffline(true);
  await panel.getByText("offline, websocket").waitFor();
  await insert("bread");
  await row(/pending.*insert Todo.*bread/).waitFor();
  await picture("devtools.png");
  expect(await accessibilityProblems(page)).toEqual([]);
  await page.context().setOffline(false);
  await panel.getByText("No pending writes.").waitFor();

  await panel.getByRole("tab", { name: "Writes" }).press("ArrowRight");
  await row(/rejected: POLICY_DENIED/).waitFor();
  await row(/live \(websocket\)/)
    .first()
    .waitFor();
  await tab("Queries");
  await row(/Todo.*title asc.*3.*B/).waitFor();
  await panel.getByRole("button", { name: "Close the devtools" }).click();
  await panel.waitFor({ state: "detached" });
  expect(problems).toEqual([]);
}, 60_000);
