import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import { toResolvedSession } from "@pylonsync/sync";
import type { Browser, Page } from "playwright-core";
import { launchBrowser } from "../support/browser.ts";
import { TestClient, until } from "../support/client.ts";
import { randomOf } from "../support/random.ts";
import { run } from "../support/run.ts";
import { startServer, type TestServer } from "../support/server.ts";

// The hooks in a real browser: renders, Suspense, error boundaries, hydration, optimistic calls.

const APP = join(import.meta.dir, "..", "support", "react-app");
const SHELVES = 100;
const CHANGES = 1_000;

let server: TestServer;
let browser: Browser;
let client: TestClient;
let page: Page;
const problems: string[] = [];

beforeAll(async () => {
  [server, browser] = await Promise.all([
    startServer(await loadApp(APP, { dev: false }), { PYLON_SINGLE_PORT: "1" }),
    // Chromium treats a page that a test provides as one of another network, which may not open a
    // socket.
    launchBrowser("--disable-features=LocalNetworkAccessChecks"),
  ]);
  client = await TestClient.guest(server.url);
  for (let shelf = 0; shelf < SHELVES; shelf += 1)
    if (shelf !== 77) await client.insert("Item", { id: `item-${shelf}`, shelf, rank: 0 });
  page = await browser.newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (line) => {
    // Chromium itself reports the calls that the server rejects.
    if (line.type() === "error" && !line.text().includes("Failed to load resource"))
      problems.push(line.text());
  });
}, 120_000);
afterAll(async () => {
  await browser.close();
  await server.stop();
});

const open = (path: string, query = ""): Promise<unknown> =>
  page.goto(`${server.url}${path}?token=${client.token}${query}`);
const shown = (): Promise<string | null> => page.locator("output").textContent();
const renders = (): Promise<number[]> => page.evaluate(() => window.renders);

/** Writes of the page itself, one after another. */
async function change(writes: readonly (readonly [shelf: number, rank: number])[]): Promise<void> {
  await page.evaluate(async (given) => {
    for (const [shelf, rank] of given)
      window.flushSync?.(() => void window.engine?.update("Item", `item-${shelf}`, { rank }));
    await window.engine?.flushed();
  }, writes);
}

describe.each(["all", "queries"])("with a replica of %s", (sync) => {
  test("of 100 components, each is rendered once per change of its rows", async () => {
    await open("/shelves", `&sync=${sync}`);
    await until(async () => (await page.getByText("waits").count()) === 0);
    await page.waitForFunction(() => window.engine?.status.connection === "live");
    const random = randomOf(7);
    const expected = await renders();
    expect(expected).toHaveLength(SHELVES);
    const writes = Array.from({ length: CHANGES }, (_, index) => {
      const shelf = Math.floor(random() * SHELVES);
      return [shelf === 77 ? 78 : shelf, index + 1] as const;
    });
    for (const [shelf] of writes) expected[shelf] = (expected[shelf] ?? 0) + 1;
    await change(writes);
    // The change of another user arrives after the server's responses to these writes.
    await client.request("PATCH", "/api/entities/Item/item-5", { rank: -1 });
    expected[5] = (expected[5] ?? 0) + 1;
    await until(async () => (await renders())[5] === expected[5]);
    expect(await renders()).toEqual(expected);
  }, 60_000);
});

test("Suspense shows a fallback, and a boundary the server's error until reset", async () => {
  let release = (): void => undefined;
  await open("/counts");
  await until(async () => (await shown()) === "1 on shelf 0");
  await page.getByRole("button", { name: "Next" }).click();
  const failed = page.getByRole("button", { name: "The shelf is empty." });
  await failed.waitFor();
  expect(await page.locator("output").count()).toBe(0);
  await client.insert("Item", { id: "item-77", shelf: 77, rank: 0 });
  await failed.click();
  await until(async () => (await shown()) === "1 on shelf 77");

  // Without a response, the fallback stays.
  const held = new Promise<void>((resolve) => (release = resolve));
  await page.routeWebSocket(/\/ws/, async (socket) => {
    await held;
    socket.connectToServer();
  });
  await page.reload();
  await until(async () => (await shown()) === "Loading");
  release();
  await until(async () => (await shown()) === "1 on shelf 0");
  await page.unrouteAll();
}, 60_000);

test("an optimistic call is shown immediately, and rolled back with the reason", async () => {
  await open("/move");
  await until(async () => (await shown()) === "item-1 > ");
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  await page.route("**/api/fn/move", async (route) => {
    await held;
    await route.continue();
  });
  await page.getByRole("button", { name: "Move" }).click();
  await until(async () => (await shown()) === " > item-1");
  expect(await page.getByRole("alert").textContent()).toBe("");
  release();
  await page.getByText("There is no such shelf.").waitFor();
  await until(async () => (await shown()) === "item-1 > ");
  const { body } = await client.request("GET", "/api/entities/Item/item-1");
  expect(body["shelf"]).toBe(1);
}, 60_000);

test("a server-rendered page is hydrated without a flash, and requests its rows once", async () => {
  const rows = await client.request("POST", "/api/query/Item", { shelf: 9 });
  const preloaded = {
    entity: "Item",
    options: { where: { shelf: 9 } },
    rows: rows.body,
    userId: client.userId,
  };
  const session = toResolvedSession((await client.request("GET", "/api/auth/me")).body);
  const given = JSON.stringify({ baseUrl: server.url, token: client.token, session, preloaded });
  const html = (await run([process.execPath, join(APP, "render.tsx"), given])).trim();
  expect(html).toContain("item-9:");

  // The page as the server has rendered it, with a record of everything that is shown from then on.
  const record = `window.preloaded = ${given}; window.history_ = [];
    const root = document.querySelector("#root");
    const note = () => history_.push(root.textContent);
    note(); new MutationObserver(note)
      .observe(root, { childList: true, characterData: true, subtree: true });`;
  await page.route("**/hydrated", async (route) => {
    const response = await route.fetch({ url: `${server.url}/` });
    const shell = await response.text();
    const body = `<div id="root">${html}</div><script>${record}</script>`;
    await route.fulfill({ response, body: shell.replace('<div id="root"></div>', body) });
  });
  const frames: string[] = [];
  const requests: string[] = [];
  page.on("websocket", (socket) =>
    socket.on("framereceived", ({ payload }) => frames.push(String(payload))),
  );
  page.on("request", (request) => requests.push(new URL(request.url()).pathname));
  await page.goto(`${server.url}/hydrated`);
  const text = await shown();
  expect(text).toBe(/item-9:-?\d+/.exec(html)?.[0] ?? "");
  // The live list has replaced the server's rows once it follows changes.
  await until(() => frames.some((frame) => frame.includes('"item-9"')));
  await client.request("PATCH", "/api/entities/Item/item-9", { rank: 12_345 });
  await until(async () => (await shown()) === "item-9:12345");
  const seen = await page.evaluate((): string[] => Reflect.get(window, "history_"));
  expect([...new Set(seen)]).toEqual([text ?? "", "item-9:12345"]);
  // One subscription loads the rows, without further requests.
  expect(requests.filter((path) => /\/api\/(query|entities|sync)/.test(path))).toEqual([]);
  expect(frames.filter((frame) => frame.includes('"item-9"'))).toHaveLength(2);
}, 60_000);

test("the browser has reported no errors, and no hydration mismatch", () => {
  expect(problems).toEqual([]);
});
