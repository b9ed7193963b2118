import { afterEach, beforeEach, expect, test } from "bun:test";
import { query } from "@pylonsync/functions";
import { buildManifest, entity, field, policy, relation } from "@pylonsync/sdk";
import {
  createSyncEngine,
  createWriteThroughStorage,
  systemPlatform,
  type LiveList,
  type QueryOptions,
  type Row,
  type Socket,
  type SyncEngine,
  type TransportType,
} from "@pylonsync/sync";
import fc from "fast-check";
import { aMoment, TestClient, until } from "../support/client.ts";
import { tappedSocket } from "../support/tapped-socket.ts";
import { useFakeIndexedDb } from "../support/fake-indexed-db.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";
import { SharedTabs } from "../support/shared-tabs.ts";

// Several tabs of one browser that request single queries: one tab leads and has the connection,
// the others send their requests through it. A tab may be killed at any moment, and another then
// leads.

const app = appOf(
  buildManifest({
    name: "query-tabs",
    version: "1.0.0",
    entities: [
      entity(
        "Note",
        { text: field.string(), n: field.int(), ownerId: field.string().owner() },
        { relations: [relation({ name: "tags", target: "Tag", field: "noteId", many: true })] },
      ),
      entity("Tag", {
        noteId: field.string(),
        name: field.string(),
        ownerId: field.string().owner(),
      }),
    ],
    policies: [
      policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" }),
      policy({ name: "tags", entity: "Tag", allow: "auth.userId == data.ownerId" }),
      policy({ name: "short", entity: "Note", allowWrite: "data.text != 'bad'" }),
    ],
  }),
  {
    total: query({ handler: (ctx) => ctx.db.count("Note", {}) }),
  },
);

useFakeIndexedDb();

const cleanups: (() => unknown)[] = [];
let server: TestServer;
beforeEach(async () => {
  server = await startServer(app);
  cleanups.push(() => server.stop());
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A browser with the tabs of one user. */
class Browser {
  readonly user: TestClient;
  readonly shared = new SharedTabs();
  readonly open = new Set<Tab>();
  readonly transport: TransportType;
  readonly storage = createWriteThroughStorage({}, () => undefined);
  isOffline = false;

  constructor(user: TestClient, transport: TransportType = "websocket") {
    this.user = user;
    this.transport = transport;
  }

  static async start(transport?: TransportType): Promise<Browser> {
    return new Browser(await TestClient.guest(server.url), transport);
  }

  tab(): Tab {
    const tab = new Tab(this);
    this.open.add(tab);
    cleanups.push(() => tab.kill());
    return tab;
  }

  /** The number of live connections of all tabs. */
  get connections(): number {
    return [...this.open].reduce((count, tab) => count + tab.connections, 0);
  }

  goOffline(): void {
    this.isOffline = true;
    for (const tab of this.open) tab.cut();
  }
}

class Tab {
  readonly engine: SyncEngine;
  readonly #browser: Browser;
  readonly #sockets = new Set<Socket>();
  readonly #requests = new Set<AbortController>();
  #isKilled = false;

  constructor(browser: Browser) {
    this.#browser = browser;
    this.engine = createSyncEngine(server.url, {
      sync: "queries",
      transport: browser.transport,
      token: browser.user.token ?? "",
      appName: `query-tabs-${browser.user.userId}`,
      storage: browser.storage,
      reconnectDelay: 10,
      platform: {
        after: (delayMs, run) => systemPlatform.after(delayMs, () => this.#isKilled || run()),
        tabs: browser.shared.platformOf(this),
        openSocket: (url, protocols) => {
          if (browser.isOffline) throw new Error("There is no network.");
          return this.#openSocket(url, protocols);
        },
        fetch: (url, init) => this.#fetch(url, init),
      },
    });
    this.engine.start();
  }

  get connections(): number {
    return this.#sockets.size + this.#requests.size;
  }

  /** Stops the tab in the middle of its work. */
  kill(): void {
    this.#isKilled = true;
    this.#browser.open.delete(this);
    this.#browser.shared.end(this);
    for (const socket of [...this.#sockets]) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    for (const request of this.#requests) request.abort();
  }

  cut(): void {
    for (const socket of [...this.#sockets]) {
      socket.close();
      socket.onclose?.({ code: 1006, reason: "" });
    }
    for (const request of this.#requests) request.abort();
  }

  #openSocket(url: string, protocols: string[]): Socket {
    const socket = tappedSocket(url, protocols, { onClose: () => this.#sockets.delete(socket) });
    this.#sockets.add(socket);
    return socket;
  }

  async #fetch(url: string, init?: RequestInit): Promise<Response> {
    if (this.#isKilled) return new Promise(() => undefined);
    if (this.#browser.isOffline) throw new TypeError("There is no network.");
    const isStream = String(init?.body).includes('"sse"');
    if (!isStream) return fetch(url, init);
    const abort = new AbortController();
    this.#requests.add(abort);
    const isOver = (): void => {
      this.#requests.delete(abort);
      abort.abort();
    };
    abort.signal.addEventListener("abort", isOver);
    init?.signal?.addEventListener("abort", isOver);
    return fetch(url, { ...init, signal: abort.signal });
  }
}

function show({ engine }: Tab, options: QueryOptions = {}): LiveList {
  const list = engine.query("Note", options);
  cleanups.push(list.subscribe(() => undefined));
  return list;
}

const texts = (list: LiveList): unknown[] => list.getSnapshot().map(({ text }) => text);
const isReady = (list: LiveList): boolean => list.isReady() === true;

test.each(["websocket", "sse"] as const)(
  "over %s two tabs share one connection, and each shows its own queries",
  async (transport) => {
    const browser = await Browser.start(transport);
    for (let n = 0; n < 5; n += 1) await browser.user.insert("Note", { text: `${n}`, n });
    const [first, second] = [browser.tab(), browser.tab()];
    const all = show(first, { orderBy: { n: "asc" } });
    await until(() => isReady(all));
    const newest = show(second, { orderBy: { n: "desc" }, limit: 2 });
    const same = show(second, { orderBy: { n: "asc" } });
    await until(() => isReady(newest) && isReady(same));
    expect([texts(all), texts(newest)]).toEqual([
      ["0", "1", "2", "3", "4"],
      ["4", "3"],
    ]);
    expect(texts(same)).toEqual(texts(all));
    expect(browser.connections).toBe(1);
    await browser.user.insert("Note", { text: "5", n: 5 });
    await until(() => texts(newest)[0] === "5" && texts(all).length === 6);
    expect(texts(newest)).toEqual(["5", "4"]);
    // Both write; a rejected write is rolled back in the tab that wrote it.
    await first.engine.insert("Note", { text: "of the first", n: 6 });
    await second.engine.insert("Note", { text: "of the second", n: 7 });
    await second.engine.insert("Note", { text: "bad", n: 8 });
    await until(() => texts(newest)[1] === "of the first" && texts(all).length === 8);
    expect(texts(newest)).toEqual(["of the second", "of the first"]);
    await until(() => [first, second].every(({ engine }) => engine.mutations.all().length === 0));
    expect(browser.connections).toBe(1);
  },
);

test("related rows reach a tab through the leader, and resume when it is killed", async () => {
  const browser = await Browser.start();
  const note = await browser.user.insert("Note", { text: "a", n: 1 });
  const tag = await browser.user.insert("Tag", { noteId: note, name: "old" });
  const [first, second, third] = [browser.tab(), browser.tab(), browser.tab()];
  await until(() => first.engine.status.connection === "live");
  const include = { tags: { order: { name: "asc" } } } as const;
  const lists = [show(second, { include, limit: 9 }), show(third, { include, limit: 9 })];
  const shown = (): unknown[] => lists.map((list) => list.getSnapshot().map(tagsOf));
  const both = async (...names: readonly string[]): Promise<void> =>
    until(() => Bun.deepEquals(shown(), [[names], [names]]));
  await both("old");
  await browser.user.insert("Tag", { noteId: note, name: "new" });
  await both("new", "old");
  await browser.user.request("DELETE", `/api/entities/Tag/${tag}`);
  await both("new");
  expect(browser.connections).toBe(1);
  first.kill();
  await browser.user.insert("Tag", { noteId: note, name: "later" });
  await both("later", "new");
  expect(browser.connections).toBe(1);
});

test("the leader tells a tab which rows match by their related rows", async () => {
  const browser = await Browser.start();
  const [one, two] = [
    await browser.user.insert("Note", { text: "one", n: 1 }),
    await browser.user.insert("Note", { text: "two", n: 2 }),
  ];
  const tag = await browser.user.insert("Tag", { noteId: one, name: "new" });
  const [first, second, third] = [browser.tab(), browser.tab(), browser.tab()];
  await until(() => first.engine.status.connection === "live");
  const tagged = { where: { tags: { name: "new" } }, orderBy: { n: "asc" } } as const;
  const lists = [show(first), show(second), show(second, tagged), show(third, tagged)];
  const both = (...names: readonly string[]): Promise<void> =>
    until(() => lists.every(isReady) && Bun.deepEquals(lists.slice(2).map(texts), [names, names]));
  await both("one");
  await browser.user.insert("Tag", { noteId: two, name: "new" });
  await both("one", "two");
  await browser.user.request("PATCH", `/api/entities/Tag/${tag}`, { name: "old" });
  await both("two");
  expect(browser.connections).toBe(1);
  first.kill();
  await browser.user.request("PATCH", `/api/entities/Tag/${tag}`, { name: "new" });
  await both("one", "two");
});

function tagsOf({ tags }: Row): unknown {
  return (tags as readonly Row[]).map(({ name }) => name);
}

test("functions, rooms and errors go through the leader, too", async () => {
  const browser = await Browser.start();
  const [first, second] = [browser.tab(), browser.tab()];
  await until(() => first.engine.status.connection === "live");
  const live = second.engine.live("total");
  cleanups.push(live.subscribe(() => undefined));
  const unknown = second.engine.live("nothing");
  cleanups.push(unknown.subscribe(() => undefined));
  const wrong = second.engine.query("Nothing");
  cleanups.push(wrong.subscribe(() => undefined));
  await until(() => live.getSnapshot().data === 0);
  await until(() => unknown.getSnapshot().error?.code === "FN_NOT_FOUND");
  await until(() => wrong.isReady() === true);
  expect(() => wrong.getSnapshot()).toThrow("Nothing");
  const heard: unknown[] = [];
  cleanups.push(first.engine.rooms.onTopic(({ data }) => heard.push(data)));
  second.engine.rooms.publishTopic("hello", { n: 1 });
  await browser.user.insert("Note", { text: "one", n: 1 });
  await until(() => live.getSnapshot().data === 1 && heard.length === 1);
  expect(browser.connections).toBe(1);
});

test("when the leader is killed, another tab takes over and requests what is shown", async () => {
  const browser = await Browser.start();
  for (let n = 0; n < 300; n += 1)
    await browser.user.insert("Note", { text: `a long text ${n}`, n });
  const [first, second, third] = [browser.tab(), browser.tab(), browser.tab()];
  const lists = [
    show(first),
    show(second, { orderBy: { n: "desc" }, limit: 3 }),
    show(third, { where: { n: { $lt: 3 } } }),
  ];
  await until(() => lists.every(isReady));
  expect(browser.connections).toBe(1);
  first.kill();
  await browser.user.insert("Note", { text: "newest", n: 300 });
  await browser.user.insert("Note", { text: "small", n: -1 });
  await until(() => texts(lists[1] as LiveList)[0] === "newest");
  await until(() => lists[2]?.getSnapshot().length === 4);
  expect(browser.connections).toBe(1);
  expect([second, third].map(({ engine }) => engine.status.connection)).toEqual(["live", "live"]);
});

test("offline writes of two tabs apply once each, even if one tab is killed", async () => {
  const browser = await Browser.start();
  const [first, second] = [browser.tab(), browser.tab()];
  const lists = [show(first), show(second)];
  await until(() => lists.every(isReady));
  browser.goOffline();
  await until(() => [first, second].every(({ engine }) => engine.status.connection !== "live"));
  for (let n = 0; n < 4; n += 1) {
    await first.engine.insert("Note", { text: `first ${n}`, n });
    await second.engine.insert("Note", { text: n === 2 ? "bad" : `second ${n}`, n });
  }
  first.kill();
  const refused: string[] = [];
  cleanups.push(second.engine.onError(({ code }) => refused.push(code)));
  browser.isOffline = false;
  const third = browser.tab();
  const again = show(third);
  const expected = [0, 1, 2, 3].flatMap((n) => [`first ${n}`, ...(n === 2 ? [] : [`second ${n}`])]);
  for (const list of [lists[1] as LiveList, again])
    await until(() => Bun.deepEquals(new Set(texts(list)), new Set(expected)));
  // What is shown may not be written to the disk yet.
  await until(() => [second, third].every(({ engine }) => engine.mutations.all().length === 0));
  const { text } = await browser.user.request("POST", "/api/query/Note", {});
  const rows = JSON.parse(text) as { readonly text: string }[];
  expect(rows.map((row) => row.text).toSorted()).toEqual(expected.toSorted());
  expect(refused.length).toBeLessThanOrEqual(1);
  await until(() => browser.connections === 1);
});

test("one of several tabs stores the rows, and a later visit resumes from there", async () => {
  const browser = await Browser.start();
  for (let n = 0; n < 50; n += 1) await browser.user.insert("Note", { text: `${n}`, n });
  const [first, second] = [browser.tab(), browser.tab()];
  const lists = [show(first, { limit: 10 }), show(second, { orderBy: { n: "desc" }, limit: 10 })];
  await until(() => lists.every(isReady));
  await aMoment();
  first.engine.stop();
  await until(() => second.engine.status.connection === "live" && browser.connections === 1);
  await browser.user.insert("Note", { text: "newest", n: 50 });
  await until(() => texts(lists[1] as LiveList)[0] === "newest");
  second.engine.stop();
  await aMoment();
  first.kill();
  second.kill();
  browser.isOffline = true;
  const later = show(browser.tab(), { orderBy: { n: "desc" }, limit: 10 });
  await until(() => later.getSnapshot().length === 10);
  expect(texts(later)[0]).toBe("newest");
});

const STEP = fc.oneof(
  fc.record({ kind: fc.constant("write" as const), tab: fc.nat(2), n: fc.nat(9) }),
  fc.record({ kind: fc.constant("change" as const), tab: fc.nat(2), row: fc.nat(9) }),
  fc.record({ kind: fc.constant("remote" as const), n: fc.nat(9) }),
  fc.record({
    kind: fc.constant("show" as const),
    tab: fc.nat(2),
    limit: fc.constantFrom(undefined, 2, 4),
    order: fc.constantFrom("asc" as const, "desc" as const),
  }),
  fc.record({ kind: fc.constant("kill" as const), tab: fc.nat(2) }),
  fc.record({ kind: fc.constant("cut" as const), tab: fc.nat(2) }),
  fc.record({ kind: fc.constant("wait" as const) }),
);
type Step = typeof STEP extends fc.Arbitrary<infer S> ? S : never;

/** Three tabs, what each shows, and the number of writes made. */
class Scene {
  readonly #browser: Browser;
  readonly #tabs: { tab: Tab; shown: { options: QueryOptions; list: LiveList }[] }[] = [];
  #written = 0;

  constructor(browser: Browser) {
    this.#browser = browser;
    for (let count = 0; count < 3; count += 1) this.#tabs.push({ tab: browser.tab(), shown: [] });
  }

  async do(step: Step): Promise<void> {
    if (step.kind === "wait") return Bun.sleep(10);
    if (step.kind === "remote") {
      this.#written += 1;
      await this.#browser.user.insert("Note", { text: "remote", n: step.n });
      return undefined;
    }
    const place = this.#tabs[step.tab];
    if (place === undefined) return undefined;
    const { engine } = place.tab;
    if (step.kind === "write") {
      // The tab may be killed right afterwards: only what is on disk by then counts.
      await engine.insert("Note", { text: "own", n: step.n });
      this.#written += 1;
    } else if (step.kind === "change") {
      const rows = engine.store.list("Note");
      const row = rows[step.row % Math.max(1, rows.length)];
      if (row !== undefined) await engine.update("Note", row.id, { text: "changed" });
    } else if (step.kind === "cut") place.tab.cut();
    else if (step.kind === "kill") {
      place.tab.kill();
      place.tab = this.#browser.tab();
      place.shown = place.shown.map(({ options }) => ({
        options,
        list: show(place.tab, options),
      }));
    } else {
      const options: QueryOptions = { orderBy: { n: step.order }, limit: step.limit };
      place.shown.push({ options, list: show(place.tab, options) });
    }
    return undefined;
  }

  /** Waits until each tab shows the server's results, and the server has each write once. */
  async agrees(): Promise<void> {
    const { user } = this.#browser;
    const count = async (): Promise<number> => {
      const { text } = await user.request("POST", "/api/query/Note", {});
      return (JSON.parse(text) as unknown[]).length;
    };
    await until(async () => (await count()) === this.#written);
    await until(() => this.#tabs.every(({ tab }) => tab.engine.mutations.all().length === 0));
    for (const { shown } of this.#tabs)
      for (const { options, list } of shown) {
        const { orderBy: $order, limit: $limit } = options;
        const filter = { $order, ...($limit === undefined ? {} : { $limit }) };
        // A tab may have taken over writes of a killed one, which are sent only now.
        let rows: unknown;
        await until(async () => {
          rows = JSON.parse((await user.request("POST", "/api/query/Note", filter)).text);
          return isReady(list) && Bun.deepEquals(list.getSnapshot(), rows);
        }, 3_000).catch(() => expect<unknown>(list.getSnapshot()).toEqual(rows));
      }
    await until(() => this.#browser.connections === 1, 3_000);
    expect(await count()).toBe(this.#written);
  }

  end(): void {
    for (const { tab } of this.#tabs) tab.kill();
  }
}

test.each(["websocket", "sse"] as const)(
  "over %s three tabs that open and close show the server's results",
  async (transport) => {
    await fc.assert(
      fc.asyncProperty(fc.array(STEP, { minLength: 5, maxLength: 20 }), async (steps) => {
        const scene = new Scene(await Browser.start(transport));
        for (const step of steps) await scene.do(step);
        await scene.agrees();
        scene.end();
      }),
      { numRuns: 25 },
    );
  },
  60_000,
);
