import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { MAIN_FILE } from "../../packages/cli/src/testing/main-file.ts";
import { launchBrowser } from "../support/browser.ts";
import { until } from "../support/client.ts";
import { freePort } from "../support/servers/free-port.ts";

const PORT = await freePort();
const ADDRESS = `http://localhost:${PORT}/`;
const root = new URL("../..", import.meta.url).pathname;
const dir = mkdtempSync(join(tmpdir(), "pylon-browser-"));

let browser: Browser;
let server: Bun.Subprocess;
const problems: string[] = [];

/** Runs the server as `npm start` does, on a separate database. */
function startServer(): Bun.Subprocess {
  return Bun.spawn(
    [process.execPath, MAIN_FILE, "dev", join(root, "examples/todo"), "--port", String(PORT)],
    {
      env: { ...process.env, PYLON_DB_PATH: join(dir, "todo.db") },
      stdout: "ignore",
      stderr: "inherit",
    },
  );
}

async function healthy(): Promise<void> {
  await until(
    () =>
      fetch(`${ADDRESS}health`).then(
        ({ ok }) => ok,
        () => false,
      ),
    10_000,
  );
}

beforeAll(async () => {
  server = startServer();
  browser = await launchBrowser(
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  );
  await healthy();
}, 60_000);

afterAll(async () => {
  await browser.close();
  server.kill();
  await server.exited;
  rmSync(dir, { recursive: true, force: true });
});

/** A guest with a separate browser context. */
async function guest(): Promise<{ readonly page: Page; readonly context: BrowserContext }> {
  const context = await browser.newContext({ viewport: { width: 720, height: 560 } });
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    // Chromium itself reports a lost network as an error; only errors of React and the app count.
    if (
      message.type() === "error" &&
      !/Failed to load resource|WebSocket connection|ERR_/.test(message.text())
    )
      problems.push(message.text());
  });
  await page.goto(ADDRESS);
  await page.getByText("Continue as guest").click();
  await page.getByTestId("connection").filter({ hasText: "Live" }).waitFor();
  return { page, context };
}

async function add(page: Page, title: string): Promise<void> {
  await page.getByLabel("New todo").fill(title);
  await page.getByRole("button", { name: "Add" }).click();
}

/** Takes the picture of the README and the docs: pages side by side. */
async function picture(pages: readonly Page[], name: string): Promise<void> {
  const shots = await Promise.all(pages.map((page) => page.screenshot()));
  const frame = await (
    await browser.newContext({ viewport: { width: 1440, height: 560 } })
  ).newPage();
  const images = shots.map(
    (shot) => `<img width=719 src="data:image/png;base64,${shot.toString("base64")}">`,
  );
  await frame.setContent(
    `<body style="margin:0;display:flex;gap:2px;background:#dcdbe8">${images.join("")}</body>`,
  );
  await frame.screenshot({ path: join(root, "docs/images", name) });
}

test("a todo that one browser adds and shares shows in another, live", async () => {
  const [alice, bob] = await Promise.all([guest(), guest()]);
  await add(alice.page, "Water the plants");
  await add(alice.page, "Buy milk");
  await alice.page.getByText("Buy milk").waitFor();
  expect(await bob.page.getByTestId("todo").count()).toBe(0);

  await alice.page
    .getByTestId("todo")
    .filter({ hasText: "Buy milk" })
    .getByRole("button", { name: "Share" })
    .click();
  await bob.page.getByText("Buy milk").waitFor();
  expect(await bob.page.getByText("Water the plants").count()).toBe(0);

  await alice.page
    .getByTestId("todo")
    .filter({ hasText: "Buy milk" })
    .getByRole("checkbox")
    .check();
  await bob.page.locator("li.done").filter({ hasText: "Buy milk" }).waitFor();
  await add(bob.page, "Call grandmother");
  await bob.page.getByText("Call grandmother").waitFor();
  await bob.page.locator("li").nth(1).waitFor();
  if (process.env["PYLON_PICTURES"] === "1")
    await picture([alice.page, bob.page], "todo-two-browsers.png");
  await alice.page.getByRole("button", { name: "Clear 1 done" }).click();
  await bob.page.getByText("Buy milk").waitFor({ state: "detached" });
  await Promise.all([alice.context.close(), bob.context.close()]);
}, 60_000);

test("a returning guest sees neither the guest button nor an empty list early", async () => {
  const { page, context } = await guest();
  await add(page, "still here");
  await page.getByTestId("todo").waitFor();
  await page.locator(".pill.live").waitFor();
  const seen: string[] = [];
  await page.exposeFunction("see", (text: string) => void seen.push(text));
  // Without the browser's storage, so that only the server knows the rows.
  await page.addInitScript(() => {
    Reflect.deleteProperty(globalThis, "indexedDB");
    const { see } = globalThis as unknown as { see: (text: string) => void };
    new MutationObserver(() => see(document.querySelector("main")?.innerText ?? "")).observe(
      document,
      { subtree: true, childList: true, characterData: true },
    );
  });
  const { promise: gate, resolve: letGo } = Promise.withResolvers<void>();
  const asked: string[] = [];
  await page.route("**/api/auth/me", async (route) => {
    asked.push(route.request().url());
    await gate;
    await route.continue();
  });
  await page.reload();
  await until(() => asked.length > 0);
  await page.getByText("Loading").waitFor();
  expect(await page.getByText("Continue as guest").count()).toBe(0);
  letGo();
  await page.getByText("still here").waitFor();
  expect(seen.filter((text) => text.includes("Continue as guest"))).toEqual([]);
  await context.close();
}, 60_000);

test("the keyboard focus stays in place when a todo disappears", async () => {
  const { page, context } = await guest();
  for (const title of ["third", "second", "first"]) await add(page, title);
  await page.getByTestId("todo").nth(2).waitFor();
  const focused = (): Promise<string | null> =>
    page.evaluate(
      () =>
        document.activeElement?.getAttribute("aria-label") ??
        document.activeElement?.tagName ??
        null,
    );
  await page.getByLabel("Delete second").focus();
  await page.keyboard.press("Enter");
  await page.getByText("second").waitFor({ state: "detached" });
  expect(await focused()).toBe("Delete third");
  await page.keyboard.press("Enter");
  await page.getByText("third").waitFor({ state: "detached" });
  expect(await focused()).toBe("Delete first");
  await page.keyboard.press("Enter");
  await page.getByText("Nothing here.").waitFor();
  expect(await focused()).toBe("New todo");

  for (const title of ["b", "a"]) await add(page, title);
  await page.getByRole("button", { name: "open", exact: true }).click();
  await page.getByRole("checkbox", { name: "a", exact: true }).focus();
  await page.keyboard.press("Space");
  await page.getByRole("checkbox", { name: "a", exact: true }).waitFor({ state: "detached" });
  expect(
    await page.evaluate(() => document.activeElement?.closest("li")?.textContent ?? ""),
  ).toContain("b");
  await context.close();
}, 60_000);

test("the count matches the list, and each button does what it says", async () => {
  const [alice, bob] = [await guest(), await guest()];
  await add(alice.page, "everybody's");
  await alice.page.getByRole("button", { name: "Share", exact: true }).click();
  await bob.page.getByText("everybody's").waitFor();
  await bob.page.getByText("1 left").waitFor();
  const button = alice.page.getByRole("button", { name: "Stop sharing" });
  expect(await button.getAttribute("aria-pressed")).toBeNull();
  await button.click();
  await bob.page.getByText("everybody's").waitFor({ state: "detached" });
  await bob.page.getByText("0 left").waitFor();
  await Promise.all([alice.context.close(), bob.context.close()]);
}, 60_000);

test("when the server is unreachable, the page shows a readable message", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(ADDRESS);
  await page.getByText("Continue as guest").waitFor();
  await page.route("**/api/auth/guest", (route) => route.abort());
  await page.getByText("Continue as guest").click();
  await page
    .getByRole("alert")
    .filter({ hasText: "The server can't be reached. Try again." })
    .waitFor();
  await context.close();
}, 60_000);

test("filters show the rows that they name", async () => {
  const { page, context } = await guest();
  await add(page, "open one");
  await add(page, "done one");
  await page.getByTestId("todo").filter({ hasText: "done one" }).getByRole("checkbox").check();
  await page.getByRole("button", { name: "done", exact: true }).click();
  await page.getByText("open one").waitFor({ state: "detached" });
  expect(await page.getByTestId("todo").count()).toBe(1);
  await page.getByRole("button", { name: "open", exact: true }).click();
  await page.getByText("open one").waitFor();
  expect(await page.getByTestId("todo").count()).toBe(1);
  await context.close();
}, 60_000);

test("a write that the server rejects is rolled back and reported", async () => {
  const { page, context } = await guest();
  await add(page, "   ");
  await page.getByRole("alert").filter({ hasText: "do not allow" }).waitFor();
  await page.getByText("Nothing here.").waitFor();
  expect(await page.getByTestId("todo").count()).toBe(0);
  await context.close();
}, 60_000);

test("an offline write is shown, stored, and sent when the server is back", async () => {
  const { page, context } = await guest();
  server.kill("SIGKILL");
  await server.exited;
  await page.getByText("You are offline").waitFor();
  await add(page, "written offline");
  await page.getByTestId("todo").filter({ hasText: "written offline" }).waitFor();
  await page.getByText("1 change waits to be sent.").waitFor();
  server = startServer();
  await healthy();
  await page.getByTestId("connection").filter({ hasText: "Live" }).waitFor();
  await page.getByText("You are offline").waitFor({ state: "detached" });
  await page.reload();
  await page.getByTestId("todo").filter({ hasText: "written offline" }).waitFor();
  await context.close();
}, 90_000);

test("no errors were written to the console", () => {
  expect(problems).toEqual([]);
});
