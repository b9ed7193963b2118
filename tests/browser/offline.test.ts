import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MAX_SOCKET_PUSH_LENGTH } from "@pylonsync/protocol";
import { loadApp, type LoadedApp } from "@pylonsync/server";
import type { Browser, BrowserContext, Page } from "playwright-core";
// Imports the types of the page's globals.
import { launchBrowser } from "../support/browser.ts";
import type {} from "../support/replica-app/web/main.tsx";
import { TestClient, until } from "../support/client.ts";
import { keepShell } from "../support/keep-shell.ts";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";
import { freePort } from "../support/servers/free-port.ts";

// What a real browser stores between two visits: rows, unsent writes, and their user.

/** The page with the whole replica, and with single queries. */
const MODES = ["/", "/?queries"];
const dir = mkdtempSync(join(tmpdir(), "pylon-offline-"));
let app: LoadedApp;
let env: Readonly<Record<string, string>>;
let server: TestServer;
let browser: Browser;
let context: BrowserContext;
let origin: string;

beforeAll(async () => {
  app = await loadApp(join(import.meta.dir, "..", "support", "replica-app"), { dev: false });
  const port = await freePort();
  origin = `http://localhost:${port}`;
  env = {
    PYLON_PORT: String(port),
    PYLON_SINGLE_PORT: "1",
    PYLON_PUBLIC_URL: origin,
    PYLON_COOKIE_SECURE: "0",
    PYLON_IN_MEMORY: "0",
    PYLON_DB_PATH: join(dir, "offline.db"),
    PYLON_DRAIN_SECS: "0",
  };
  server = await startServer(app, env);
  browser = await launchBrowser("--disable-gpu", "--disable-features=LocalNetworkAccessChecks");
}, 60_000);
afterAll(async () => {
  await browser.close();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(async () => {
  context = await browser.newContext();
});
afterEach(async () => {
  // A file may still be on its way.
  await context.unrouteAll({ behavior: "ignoreErrors" });
  await context.close();
});

/**
 * Opens the page in another tab of the same browser.
 *
 * @param before runs in the page before its own scripts
 */
async function open(path = "/", before?: () => void): Promise<Page> {
  const page = await context.newPage();
  if (before !== undefined) await page.addInitScript(before);
  await page.goto(origin + path);
  return page;
}

async function signIn(page: Page): Promise<TestClient> {
  await user(page, /./);
  const { token, userId } = await page.evaluate(() => window.db.signInAsGuest());
  await live(page, userId);
  return new TestClient(origin, token, userId);
}

/**
 * Closes a page that is offline. A browser may end the network emulation before the page itself, so
 * a page that is active until it closes could still send requests.
 */
async function closeOffline(page: Page): Promise<void> {
  await page.evaluate(() => window.db.sync.stop());
  await page.goto("about:blank");
  await page.close();
}

/** Runs in a page before its own scripts: its clock is then moved by {@link moveClock}. */
function movableClock(): void {
  const { now } = Date;
  Reflect.set(window, "aheadMs", 0);
  Date.now = () => now() + Number(Reflect.get(window, "aheadMs"));
}

/** Moves the clock of a page with a {@link movableClock} forward. */
const moveClock = (page: Page, ms: number): Promise<boolean> =>
  page.evaluate((aheadMs) => Reflect.set(window, "aheadMs", aheadMs), ms);

const user = (page: Page, pattern: RegExp): Promise<void> =>
  page.locator("#user").filter({ hasText: pattern, hasNotText: "unknown" }).waitFor();
const status = (page: Page, text: string): Promise<void> =>
  page.locator("#status").filter({ hasText: text }).waitFor();
async function live(page: Page, userId: string): Promise<void> {
  await user(page, new RegExp(userId));
  await status(page, "live");
}
const insert = (page: Page, title: string): Promise<string> =>
  page.evaluate((text) => window.db.insert("Todo", { title: text }), title);
const shown = (page: Page): Promise<string> => page.locator("#rows").innerText();
const shows = (page: Page, titles: string): Promise<void> =>
  until(async () => (await shown(page)) === titles);
const sent = (page: Page): Promise<void> =>
  page.locator("#pending").filter({ hasText: /^0$/ }).waitFor();

/** Waits until the write is answered, and the row replaces it on disk. */
const settled = (page: Page): Promise<void> =>
  until(async () => !(await onDisk(page)).includes("op_id"));

async function onServer(client: TestClient): Promise<string[]> {
  const { text } = await client.request("POST", "/api/query/Todo", { $order: { title: "asc" } });
  return (JSON.parse(text) as { readonly title: string }[]).map(({ title }) => title);
}

/** Everything that the browser has on disk for this origin, as text. */
function onDisk(page: Page): Promise<string> {
  return page.evaluate(async () => {
    const asked = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.addEventListener("success", () => resolve(request.result));
        request.addEventListener("error", () => reject(request.error));
      });
    const found: unknown[] = [];
    for (const { name = "" } of await indexedDB.databases()) {
      const db = await asked(indexedDB.open(name));
      for (const store of db.objectStoreNames)
        found.push(await asked(db.transaction(store).objectStore(store).getAll()));
      db.close();
    }
    return JSON.stringify(found);
  });
}

test("a write made offline outlives the tab, and is sent once on the next visit", async () => {
  const first = await open();
  const client = await signIn(first);
  await insert(first, "before");
  await sent(first);
  await context.setOffline(true);
  await status(first, "offline");
  const id = await insert(first, "offline");
  await first.evaluate((row) => window.db.update("Todo", row, { done: true }), id);
  await first.locator("#pending").filter({ hasText: "2" }).waitFor();
  await until(async () => (await onDisk(first)).includes("offline"));
  await closeOffline(first);
  expect(await onServer(client)).toEqual(["before"]);

  await context.setOffline(false);
  const again = await open();
  await shows(again, "before,offline");
  await live(again, client.userId);
  await sent(again);
  expect(await onServer(client)).toEqual(["before", "offline"]);
  expect((await client.request("GET", `/api/entities/Todo/${id}`)).body).toMatchObject({
    done: true,
  });
  expect(await again.evaluate(() => window.refused)).toEqual([]);
  await settled(again);
}, 60_000);

test("a write that is rejected after the reload is rolled back and reported", async () => {
  const first = await open();
  const client = await signIn(first);
  await context.setOffline(true);
  await insert(first, "");
  await until(async () => (await onDisk(first)).includes("op_id"));
  await closeOffline(first);
  await context.setOffline(false);
  const again = await open();
  await live(again, client.userId);
  await until(async () => (await again.evaluate(() => window.refused.join())) === "POLICY_DENIED");
  await settled(again);
}, 60_000);

test("with the server down, a reload shows rows and user, and stores writes", async () => {
  await keepShell(context);
  const page = await open();
  const client = await signIn(page);
  await insert(page, "kept");
  await sent(page);
  await until(async () => (await onDisk(page)).includes("kept"));
  await settled(page);
  await server.stop();
  await page.reload();
  await shows(page, "kept");
  await user(page, new RegExp(client.userId));
  await status(page, "offline");
  await insert(page, "later");
  await page.reload();
  await shows(page, "kept,later");
  expect(await page.evaluate(() => window.db.sync.status)).toMatchObject({
    ready: true,
    stale: true,
    pending: 1,
  });
  // Rows that a server renders are newer than the stored ones.
  expect(await page.locator("#preloaded").innerText()).toContain("rendered");
  server = await startServer(app, env);
  await status(page, "live");
  await sent(page);
  expect(await onServer(client)).toEqual(["kept", "later"]);
  expect(await page.evaluate(() => window.db.sync.status)).toMatchObject({
    ready: true,
    stale: false,
  });
  expect(await page.locator("#preloaded").innerText()).toBe("kept,later");
}, 60_000);

test("after a reload deleted rows are gone, and new ones are shown", async () => {
  const page = await open();
  const client = await signIn(page);
  const gone = await insert(page, "gone");
  await sent(page);
  await until(async () => (await onDisk(page)).includes("gone"));
  await page.close();
  await client.request("DELETE", `/api/entities/Todo/${gone}`);
  await client.insert("Todo", { title: "new" });
  const again = await open();
  await live(again, client.userId);
  await shows(again, "new");
  await until(async () => !(await onDisk(again)).includes("gone"));
}, 60_000);

test("a replica of thousands of rows is stored whole, and two tabs follow it", async () => {
  await keepShell(context);
  const [one, two] = [await open(), await open()];
  const client = await signIn(one);
  await live(two, client.userId);
  const ROWS = 2_500;
  const rows = Array.from({ length: ROWS }, (_, n) => ({
    entity: "Todo",
    row_id: `row-${n}`,
    kind: "insert",
    data: { title: `title ${n}` },
  }));
  for (let from = 0; from < ROWS; from += 500)
    await client.request("POST", "/api/sync/push", {
      changes: rows.slice(from, from + 500),
      results: true,
    });
  const counts = (page: Page): Promise<number> =>
    page.evaluate(() => window.db.sync.store.list("Todo").length);
  for (const page of [one, two]) await until(async () => (await counts(page)) === ROWS);
  await Promise.all([one.reload(), two.reload()]);
  for (const page of [one, two]) await live(page, client.userId);
  await client.request("PATCH", "/api/entities/Todo/row-7", { title: "changed" });
  await client.request("DELETE", "/api/entities/Todo/row-8");
  await until(async () => {
    const disk = await onDisk(one);
    const ids = new Set(disk.match(/row-\d+(?=\\?")/g));
    return disk.includes("changed") && !ids.has("row-8") && ids.size === ROWS - 1;
  });
  await one.close();
  await server.stop();
  await two.reload();
  await until(async () => (await counts(two)) === ROWS - 1);
  expect(await two.evaluate(() => window.db.sync.store.get("Todo", "row-7")?.["title"])).toBe(
    "changed",
  );
  server = await startServer(app, env);
  await live(two, client.userId);
  expect(await counts(two)).toBe(ROWS - 1);
}, 90_000);

test.each(MODES)(
  "two tabs lose nothing and send nothing twice, though one is closed (%s)",
  async (path) => {
    const [one, two] = [await open(path), await open(path)];
    const client = await signIn(one);
    await live(two, client.userId);
    await context.setOffline(true);
    await Promise.all([status(one, "offline"), status(two, "offline")]);
    for (let n = 0; n < 5; n += 1)
      await Promise.all([insert(one, `one ${n}`), insert(two, `two ${n}`)]);
    await until(async () => ((await onDisk(two)).match(/"op_id"/g) ?? []).length === 10);
    await closeOffline(one);
    await context.setOffline(false);
    await status(two, "live");
    const all = ["one", "two"].flatMap((tab) => [0, 1, 2, 3, 4].map((n) => `${tab} ${n}`));
    await until(async () => (await onServer(client)).length === 10);
    await shows(two, all.join());
    expect(await onServer(client)).toEqual(all);
    expect(await two.evaluate(() => window.refused)).toEqual([]);
    await settled(two);
  },
  60_000,
);

test.each(MODES)(
  "tabs share one socket; when its tab is closed, another tab opens one (%s)",
  async (path) => {
    let opened = 0;
    const holders: Page[] = [];
    context.on("page", (page) =>
      page.on("websocket", () => {
        opened += 1;
        holders.push(page);
      }),
    );
    const one = await open(path);
    const client = await signIn(one);
    const others = [await open(path), await open(path)];
    await Promise.all(others.map((tab) => live(tab, client.userId)));
    const before = opened;
    await insert(one, "a");
    await Promise.all([one, ...others].map((tab) => shows(tab, "a")));
    expect(holders.at(-1)).toBe(one);
    await one.close();
    await until(() => opened === before + 1);
    const [two = one, three = one] = others;
    await insert(two, "b");
    await client.insert("Todo", { title: "c" });
    for (const tab of others) await shows(tab, "a,b,c");
    await Promise.all([live(two, client.userId), live(three, client.userId)]);
    expect(await onServer(client)).toEqual(["a", "b", "c"]);
    expect(opened).toBe(before + 1);
  },
  60_000,
);

test.each(MODES)(
  "both tabs open with the same unsent writes: each counts once (%s)",
  async (path) => {
    const first = await open(path);
    const client = await signIn(first);
    await context.setOffline(true);
    const id = await insert(first, "a");
    await first.evaluate((row) => window.db.update("Todo", row, { title: "b" }), id);
    await until(async () => ((await onDisk(first)).match(/"op_id"/g) ?? []).length === 2);
    await closeOffline(first);
    await context.setOffline(false);
    const tabs = await Promise.all([open(path), open(path), open(path)]);
    await Promise.all(tabs.map((tab) => live(tab, client.userId)));
    await Promise.all(tabs.map(sent));
    await Promise.all(tabs.map((tab) => shows(tab, "b")));
    expect(await onServer(client)).toEqual(["b"]);
    for (const tab of tabs) expect(await tab.evaluate(() => window.refused)).toEqual([]);
  },
  60_000,
);

test.each(MODES)(
  "a sign-out leaves no data in the browser and ends the session (%s)",
  async (path) => {
    const page = await open(path);
    const alice = await signIn(page);
    await insert(page, "alice's");
    await sent(page);
    await until(async () => (await onDisk(page)).includes("alice's"));
    // The socket stays open, but writes that are too long for it cannot be sent.
    await context.route("**/api/sync/push", (route) => route.abort());
    await insert(page, `alice's, not sent ${"x".repeat(MAX_SOCKET_PUSH_LENGTH)}`);
    await until(async () => (await onDisk(page)).includes("not sent"));
    await page.evaluate(() => window.db.signOut());
    await user(page, /nobody/);
    expect(await shown(page)).toBe("");
    expect(await page.evaluate(() => window.refused)).toEqual(["SESSION_CHANGED"]);
    await until(async () => !(await onDisk(page)).includes("alice"));
    expect(await onDisk(page)).not.toContain(alice.userId);
    expect((await alice.request("GET", "/api/auth/sessions")).status).toBe(401);
    await context.unroute("**/api/sync/push");
    await page.reload();
    await user(page, /nobody/);
    const bob = await signIn(page);
    await status(page, "live");
    expect(await shown(page)).toBe("");
    expect(await onServer(bob)).toEqual([]);
  },
  60_000,
);

test("another user of the same browser sees and sends no data of the first one", async () => {
  const page = await open();
  const alice = await signIn(page);
  await insert(page, "alice's");
  await sent(page);
  await context.setOffline(true);
  await status(page, "offline");
  await insert(page, "alice's, not sent");
  await until(
    async () =>
      (await onDisk(page)).includes("not sent") && (await onDisk(page)).includes('"session"'),
  );
  await closeOffline(page);
  await context.setOffline(false);
  const bob = await TestClient.guest(origin);
  // Without a sign-out: another user's token is stored when the app is opened.
  const again = await context.newPage();
  const seen: string[] = [];
  await again.exposeFunction("see", (text: string) => void seen.push(text));
  await again.addInitScript(`
    localStorage.setItem("pylon:replica:token", ${JSON.stringify(bob.token)});
    new MutationObserver(() => see(document.body?.innerText ?? "")).observe(document, {
      subtree: true, childList: true, characterData: true });
  `);
  await again.goto(origin);
  await live(again, bob.userId);
  await sent(again);
  expect(await shown(again)).toBe("");
  expect(seen.length).toBeGreaterThan(0);
  expect(seen.filter((text) => text.includes("alice") || text.includes(alice.userId))).toEqual([]);
  expect(await onServer(bob)).toEqual([]);
  expect(await onServer(alice)).toEqual(["alice's"]);
  await until(async () => !(await onDisk(again)).includes("alice"));
}, 60_000);

test("when the session has ended, unsent writes wait for their own user", async () => {
  const page = await open();
  const alice = await signIn(page);
  await insert(page, "before");
  await settled(page);
  await context.setOffline(true);
  await status(page, "offline");
  await insert(page, "waits");
  await until(async () => (await onDisk(page)).includes("waits"));
  await closeOffline(page);
  await alice.request("DELETE", "/api/auth/session");
  await context.setOffline(false);
  const again = await open();
  await user(again, /nobody/);
  await until(async () => !/before|"session"/.test(await onDisk(again)));
  expect(await shown(again)).toBe("");
  expect(await again.locator("#pending").innerText()).toBe("0");
  expect(await onDisk(again)).toContain("waits");

  const admin = new TestClient(origin, ADMIN_TOKEN);
  const { token } = (await admin.request("POST", "/api/auth/session", { user_id: alice.userId }))
    .body;
  await again.evaluate((renewed) => window.db.sync.setToken(renewed), String(token));
  await live(again, alice.userId);
  await shows(again, "before,waits");
  await sent(again);
  expect(await onServer(new TestClient(origin, String(token)))).toEqual(["before", "waits"]);
}, 60_000);

test("with a cookie nothing is shown before the user is known, then writes are sent", async () => {
  await keepShell(context);
  const page = await open("/?cookie");
  await user(page, /nobody/);
  const { userId, token } = await page.evaluate(() => window.db.signInAsGuest());
  const client = new TestClient(origin, token, userId);
  await live(page, userId);
  await insert(page, "mine");
  await sent(page);
  await context.setOffline(true);
  await status(page, "offline");
  await insert(page, "offline");
  await until(async () => (await onDisk(page)).includes("op_id"));
  await page.reload();
  await status(page, "offline");
  expect(await page.locator("#user").innerText()).toBe("unknown");
  expect(await shown(page)).toBe("");
  await context.setOffline(false);
  await live(page, userId);
  await shows(page, "mine,offline");
  await sent(page);
  expect(await onServer(client)).toEqual(["mine", "offline"]);
  await page.evaluate(() => window.db.signOut());
  await user(page, /nobody/);
  await until(async () => !/mine|op_id/.test(await onDisk(page)));
  await page.reload();
  await user(page, /nobody/);
}, 60_000);

test("another user's sign-in on the server's page sends nothing in their name", async () => {
  const page = await open("/?cookie", movableClock);
  await user(page, /nobody/);
  const { userId, token } = await page.evaluate(() => window.db.signInAsGuest());
  const alice = new TestClient(origin, token, userId);
  await live(page, userId);
  await insert(page, "alice's");
  await settled(page);
  const other = await context.newPage();
  await other.goto(`${origin}/health`);
  const bob = await other.evaluate(
    async () =>
      (await (await fetch("/api/auth/guest", { method: "POST", body: "{}" })).json()) as {
        user_id: string;
        token: string;
      },
  );
  // The tab's socket remains alice's. A confirmation older than one second is requested again.
  await moveClock(page, 1_100);
  await insert(page, "written as alice");
  await live(page, bob.user_id);
  expect(await page.evaluate(() => window.refused)).toEqual(["SESSION_CHANGED"]);
  await shows(page, "");
  await insert(page, "bob's");
  await sent(page);
  expect(await onServer(new TestClient(origin, bob.token))).toEqual(["bob's"]);
  expect(await onServer(alice)).toEqual(["alice's"]);
}, 60_000);

/** Signs in a guest by the server's cookie alone, as its own pages do. */
async function guestByCookie(page: Page): Promise<TestClient> {
  const { user_id: userId, token } = await page.evaluate(async () => {
    const answer = await fetch("/api/auth/guest", { method: "POST", body: "{}" });
    return (await answer.json()) as { readonly user_id: string; readonly token: string };
  });
  return new TestClient(origin, token, userId);
}

test("a page without a token sends nothing in the name of the cookie's next user", async () => {
  const other = await context.newPage();
  await other.goto(`${origin}/health`);
  const alice = await guestByCookie(other);
  const page = await open();
  await live(page, alice.userId);
  const network = await context.newCDPSession(page);
  const setOffline = (offline: boolean): Promise<unknown> =>
    network.send("Network.emulateNetworkConditions", {
      offline,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput: -1,
    });
  await setOffline(true);
  // Only the server can remove the cookie.
  await expect(page.evaluate(() => window.db.signOut())).rejects.toThrow("can't be reached");
  await user(page, new RegExp(alice.userId));
  await insert(page, "written as alice");
  const bob = await guestByCookie(other);
  await setOffline(false);
  await live(page, bob.userId);
  await sent(page);
  expect(await page.evaluate(() => window.refused)).toEqual(["SESSION_CHANGED"]);
  expect([await onServer(alice), await onServer(bob)]).toEqual([[], []]);
}, 60_000);

test("a sign-out without a connection is completed when the server can be reached", async () => {
  const page = await open();
  const { token, userId } = await signIn(page);
  const stillIn = async (): Promise<unknown> => {
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch(`${origin}/api/auth/me`, { headers });
    return ((await answer.json()) as { readonly user_id: unknown }).user_id;
  };
  expect(await stillIn()).toBe(userId);
  await context.setOffline(true);
  await status(page, "offline");
  const failure = await page.evaluate(() =>
    window.db.signOut().then(
      () => "",
      (error: unknown) => String(error),
    ),
  );
  expect(failure).toContain("can't be reached");
  await closeOffline(page);
  await context.setOffline(false);
  // The cookie that the server has set beside the token would sign in again.
  const again = await open();
  await user(again, /nobody/);
  expect(await stillIn()).toBe(null);
  expect(await again.evaluate(() => Object.keys(localStorage))).toEqual(["pylon:client_id"]);
}, 60_000);

test.each([
  ["is absent", () => Reflect.deleteProperty(globalThis, "indexedDB")],
  [
    "refuses to open",
    () => {
      IDBFactory.prototype.open = () => {
        throw new DOMException("not here", "SecurityError");
      };
    },
  ],
  [
    "never opens",
    () => {
      IDBFactory.prototype.open = () => new EventTarget() as IDBOpenDBRequest;
    },
  ],
  [
    "is full",
    () => {
      const full = (): never => {
        throw new DOMException("full", "QuotaExceededError");
      };
      IDBObjectStore.prototype.put = full;
      IDBObjectStore.prototype.add = full;
    },
  ],
])(
  "if storage %s, the engine works as without it",
  async (where, before) => {
    const page = await open("/", before);
    const client = await signIn(page);
    await insert(page, "a");
    await sent(page);
    await context.setOffline(true);
    await status(page, "offline");
    const inserted = insert(page, "b").catch((error: unknown) => String(error));
    // The insert rejects only if the disk is open but cannot store the write.
    expect(await inserted).toMatch(where === "is full" ? /stored here/ : /^[^ ]+$/);
    await shows(page, "a,b");
    await context.setOffline(false);
    await status(page, "live");
    await sent(page);
    expect(await onServer(client)).toEqual(["a", "b"]);
    await page.reload();
    await live(page, client.userId);
    await shows(page, "a,b");
  },
  60_000,
);
