import { expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import {
  createSyncEngine,
  createWriteThroughStorage,
  systemPlatform,
  type Disk,
  type Platform,
  type Socket,
  type Storage,
  type SyncEngine,
  type SyncEngineConfig,
  type TabPlatform,
} from "@pylonsync/sync";
import { contents, faultyFetch, socketsInto } from "../support/bad-network.ts";
import { TestClient, until, type LiveSocket } from "../support/client.ts";
import { useFakeIndexedDb } from "../support/fake-indexed-db.ts";
import { randomOf } from "../support/random.ts";
import { SharedTabs } from "../support/shared-tabs.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

// Two tabs of one browser on a bad network, which end at any moment and are opened again. In the
// end, each write that was on disk is on the server, and has counted once. The disk is emulated
// here, because a browser cannot end a tab between two steps of a disk access.

const app = appOf(
  buildManifest({
    name: "tabs",
    version: "1.0.0",
    entities: [entity("Item", { n: field.int(), ownerId: field.string().owner() })],
    policies: [policy({ name: "own", entity: "Item", allow: "auth.userId == data.ownerId" })],
  }),
);

const OPERATIONS = 80;
/** The minimum length of the timeouts of a tab that follows another, and of a silent socket. */
const LONG_MS = 12_000;
useFakeIndexedDb();

const never = (): Promise<never> => new Promise(() => undefined);

interface Browser {
  readonly url: string;
  readonly appName: string;
  readonly storage: Storage;
  readonly random: () => number;
  readonly shared: SharedTabs;
  /** The rows that the tabs hold, and how they connect. */
  readonly mode: Pick<SyncEngineConfig, "sync" | "transport">;
  /** The ids of the writes that are on disk. */
  readonly durable: Set<string>;
  isHealed: boolean;
}

/** A page that stops in the middle of its work when it is ended. */
class Tab {
  readonly engine: SyncEngine;
  readonly #browser: Browser;
  readonly #sockets = new Set<Socket>();
  #isEnded = false;

  constructor(browser: Browser) {
    this.#browser = browser;
    const { url, appName, storage, mode } = browser;
    this.engine = createSyncEngine(url, {
      ...mode,
      appName,
      storage,
      reconnectDelay: 5,
      platform: this.#platform(),
    });
    this.engine.query("Item").subscribe(() => undefined);
    this.engine.start();
  }

  end(): void {
    this.#isEnded = true;
    this.#browser.shared.end(this);
    for (const socket of this.#sockets) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  #platform(): Partial<Platform> {
    return {
      after: (delayMs, run) => systemPlatform.after(delayMs, () => this.#isEnded || run()),
      fetch: faultyFetch((what) => this.#fault(what)),
      openSocket: socketsInto(this.#sockets),
      tabs: this.#browser.shared.platformOf(this),
      openDisk: async (appName, server) => {
        const { openDisk } = systemPlatform;
        if (openDisk === null) throw new Error("There is no disk.");
        return this.#mortal(await openDisk(appName, server));
      },
    };
  }

  async #fault(what: string): Promise<void> {
    if (this.#isEnded) return never();
    const { random, isHealed } = this.#browser;
    if (isHealed) return undefined;
    if (random() < 0.4) await Bun.sleep(random() * 15);
    if (this.#isEnded) return never();
    if (random() < 0.25) throw new TypeError(what);
    return undefined;
  }

  /**
   * A disk that no longer responds once the tab is ended; an access made before that may or may not
   * take effect.
   */
  #mortal(disk: Disk): Disk {
    return new Proxy(disk, {
      get: (target, name) => {
        const work = Reflect.get(target, name) as unknown;
        if (typeof work !== "function") return work;
        return async (...args: unknown[]) => {
          if (this.#isEnded) return never();
          const result = (await Reflect.apply(work, target, args)) as unknown;
          if (name === "addWrites")
            for (const { id } of args[0] as { id: string }[]) this.#browser.durable.add(id);
          return this.#isEnded ? never() : result;
        };
      },
    });
  }
}

/** The writes of the tabs in a run. */
interface Written {
  /** The ids of the inserts, by the row's id. */
  readonly inserted: Map<string, string>;
  readonly deleted: Set<string>;
}

/** Writes in the tabs, ends some of them, and opens others in their place. */
async function writeInTabs(random: () => number, open: () => Tab, owner: string): Promise<Written> {
  const tabs = [open(), open()];
  const inserted = new Map<string, string>();
  const deleted = new Set<string>();
  for (let step = 0; step < OPERATIONS; step += 1) {
    const place = Math.floor(random() * tabs.length);
    if (random() < 0.12) {
      tabs[place]?.end();
      tabs[place] = open();
    }
    const { engine } = tabs[place] as Tab;
    const rows = engine.store.list("Item");
    const row = rows[Math.floor(random() * rows.length)];
    const dice = random();
    if (row === undefined || dice < 0.6) {
      const id = await engine.insert("Item", { n: step, ownerId: owner });
      inserted.set(id, engine.mutations.all().find(({ change }) => change.row_id === id)?.id ?? "");
    } else if (dice < 0.9) await engine.update("Item", row.id, { n: 1000 + step });
    else {
      await engine.delete("Item", row.id);
      deleted.add(row.id);
    }
    await Bun.sleep(random() * 12);
  }
  for (const tab of tabs) tab.end();
  return { inserted, deleted };
}

/** Waits until no write is left to send, in the tab and on disk. */
async function untilSent(engine: SyncEngine, { appName, url, durable }: Browser): Promise<void> {
  const disk = await systemPlatform.openDisk?.(appName, url);
  await until(
    async () => engine.connected && (await disk?.keptWrites([...durable]))?.size === 0,
    20_000,
  );
  await until(() => engine.mutations.all().length === 0);
  disk?.close();
}

/** The rows of the server, once the tab shows the same. */
async function settledRows(
  engine: SyncEngine,
  owner: TestClient,
): Promise<readonly { readonly id: string; readonly n: number }[]> {
  const truth = JSON.parse((await owner.request("POST", "/api/query/Item", {})).text) as {
    readonly id: string;
    readonly n: number;
  }[];
  await until(
    () => JSON.stringify(contents(engine.store.list("Item"))) === JSON.stringify(contents(truth)),
  );
  return truth;
}

/** Each write has a unique number, so a write that took effect twice causes two equal events. */
async function expectNoneHeardTwice(owner: TestClient, live: LiveSocket): Promise<void> {
  // Once this last event has arrived, all events before it have arrived.
  const last = await owner.insert("Item", { n: -1 });
  await until(() => live.events.some(({ row_id: id }) => id === last));
  const heard = live.events.flatMap(({ row_id: id, kind, data }) =>
    kind === "delete" ? [] : [`${kind} ${id} ${String(data?.["n"])}`],
  );
  expect(heard.length).toBe(new Set(heard).size);
}

function browserOf(url: string, token: string, seed: number, mode: Browser["mode"]): Browser {
  const appName = `tabs-${seed}-${process.env["PYLON_TEST_STORE"] ?? "sqlite"}`;
  return {
    url,
    appName,
    storage: createWriteThroughStorage({ [`pylon:${appName}:token`]: token }, () => undefined),
    random: randomOf(seed),
    shared: new SharedTabs(),
    mode,
    durable: new Set(),
    isHealed: false,
  };
}

test.each([
  ...[1, 2, 3, 4, 5, 6].map((seed) => [seed, "all", "websocket"] as const),
  [7, "queries", "websocket"],
  [8, "queries", "sse"],
  [9, "queries", "poll"],
] as const)(
  "tabs ending at any moment lose no stored write and repeat none (seed %d: %s, %s)",
  async (seed, sync, transport) => {
    const server = await startServer(app);
    const owner = await TestClient.guest(server.url);
    const live = await owner.live(0).ready();
    const mode = { sync, transport };
    const browser = browserOf(server.url, owner.token ?? "", seed, mode);
    const refused: string[] = [];
    const open = (): Tab => {
      const tab = new Tab(browser);
      tab.engine.onError(({ code, kind }) => refused.push(`${kind} ${code}`));
      return tab;
    };
    const { inserted, deleted } = await writeInTabs(browser.random, open, owner.userId);

    browser.isHealed = true;
    const { engine } = open();
    await untilSent(engine, browser);
    const there = new Set((await settledRows(engine, owner)).map(({ id }) => id));
    const lost = [...inserted].filter(
      ([id, write]) => browser.durable.has(write) && !there.has(id) && !deleted.has(id),
    );
    expect(lost).toEqual([]);
    expect([...there].filter((id) => !inserted.has(id))).toEqual([]);
    await expectNoneHeardTwice(owner, live);
    expect(browser.durable.size).toBeGreaterThan(OPERATIONS / 2);
    // The only possible rejection is of a write to a row that another tab has deleted, or whose
    // insert was lost with its tab.
    expect(
      refused.filter((what) => what !== "update NOT_FOUND" && what !== "delete NOT_FOUND"),
    ).toEqual([]);
    engine.stop();
    live.close();
    await server.stop();
  },
  60_000,
);

test("writes stored under a token become its user's; those of others are dropped", async () => {
  const disk = await systemPlatform.openDisk?.("take-over", "http://server");
  if (disk === undefined) throw new Error("There is no disk.");
  const write = (id: string, owner: string): Parameters<Disk["addWrites"]>[0][number] => ({
    id,
    owner,
    change: { entity: "Item", row_id: id, kind: "delete", op_id: id },
  });
  await disk.addWrites([write("1", "token:t"), write("2", "user:bob")]);
  await Promise.all([
    disk.takeOver("nobody", "token:x", false),
    disk.takeOver("user:ann", "token:t", true),
    disk.addWrites([write("3", "token:t")]),
  ]);
  expect((await disk.readWrites("user:ann")).map(({ id }) => id)).toEqual(["1"]);
  expect([...(await disk.keptWrites(["1", "2", "3"]))]).toEqual(["1", "3"]);
  await disk.takeOver("user:ann", "token:t", true);
  expect((await disk.readWrites("user:ann")).map(({ id }) => id)).toEqual(["1", "3"]);
  disk.close();
});

/** A clock whose long timeouts end when `pass` is called. */
class LongClock {
  #long: (() => void)[] = [];

  readonly after = (delayMs: number, run: () => void): (() => void) => {
    if (delayMs < LONG_MS) return systemPlatform.after(delayMs, run);
    this.#long.push(run);
    return () => {
      this.#long = this.#long.filter((other) => other !== run);
    };
  };

  /** Ends all long timeouts, as if a quarter of a minute had passed. */
  pass(): void {
    for (const run of this.#long.splice(0)) run();
  }
}

/** Tabs of one browser that are signed in as the same user, and the sockets that they hold. */
async function openTabs(count: number): Promise<{
  readonly engines: readonly SyncEngine[];
  readonly sockets: readonly Set<Socket>[];
  readonly server: TestServer;
  readonly client: TestClient;
  readonly shared: SharedTabs;
  readonly opened: () => number;
}> {
  const server = await startServer(app);
  const client = await TestClient.guest(server.url);
  const shared = new SharedTabs();
  const sockets = Array.from({ length: count }, () => new Set<Socket>());
  let opened = 0;
  const engines = sockets.map((own) => {
    const engine = createSyncEngine(server.url, {
      token: client.token ?? "",
      storage: createWriteThroughStorage({}, () => undefined),
      persist: false,
      reconnectDelay: 30,
      platform: {
        tabs: shared.platformOf(own),
        openSocket: (url, protocols) => {
          opened += 1;
          return socketsInto(own)(url, protocols);
        },
      },
    });
    engine.start();
    return engine;
  });
  await until(() => engines.every(({ connected }) => connected));
  return { engines, sockets, server, client, shared, opened: () => opened };
}
const valuesOf = (engine: SyncEngine): string =>
  engine.store
    .list("Item")
    .map(({ n }) => Number(n))
    .toSorted((a, b) => a - b)
    .join();

test("tabs share one socket, and all of them receive the changes", async () => {
  const { engines, server, client, opened } = await openTabs(3);
  expect(opened()).toBe(1);
  await client.insert("Item", { n: 1 });
  await Promise.all(engines.map((engine, index) => engine.insert("Item", { n: index + 2 })));
  await until(() => engines.every((engine) => valuesOf(engine) === "1,2,3,4"));
  await until(() => engines.every(({ mutations }) => mutations.all().length === 0));
  const topics: unknown[] = [];
  for (const engine of engines) engine.onTopic(({ data }) => topics.push(data));
  for (const engine of engines.slice(1)) engine.publishTopic("wave", "hi");
  await until(() => topics.length === 6);
  expect(opened()).toBe(1);
  for (const engine of engines) engine.stop();
  await server.stop();
});

test("a leader tab that is killed is replaced, and no change is missed meanwhile", async () => {
  const { engines, sockets, server, client, shared, opened } = await openTabs(3);
  let n = 0;
  let left = engines;
  for (const round of [0, 1]) {
    const own = sockets.find(({ size }) => size > 0);
    if (own === undefined) throw new Error("No tab leads.");
    left = left.filter((engine) => engine !== engines[sockets.indexOf(own)]);
    // The killed tab neither sends nor receives; the browser closes its socket.
    shared.end(own);
    for (const socket of own) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    own.clear();
    await client.insert("Item", { n: (n += 1) });
    await Promise.all(left.map((engine) => engine.insert("Item", { n: (n += 1) })));
    const all = Array.from({ length: n }, (_, index) => index + 1).join();
    await until(() => left.every((engine) => valuesOf(engine) === all));
    await Promise.all(left.map((engine) => engine.flushed()));
    expect(left.every(({ connected }) => connected)).toBe(true);
    expect(opened()).toBe(round + 2);
  }
  const { text } = await client.request("POST", "/api/query/Item", {});
  expect((JSON.parse(text) as unknown[]).length).toBe(n);
  for (const engine of engines) engine.stop();
  await server.stop();
});

test("a tab whose leader does not answer connects by itself", async () => {
  const { engines, server, client, shared, opened } = await openTabs(1);
  const [leader] = engines;
  // This tab holds the leader's lock, but receives no messages.
  const deaf = {};
  const platform = shared.platformOf(deaf);
  const alone = createSyncEngine(server.url, {
    token: client.token ?? "",
    storage: createWriteThroughStorage({}, () => undefined),
    persist: false,
    platform: {
      tabs: { ...platform, channel: () => ({ post: () => undefined, close: () => undefined }) },
    },
  });
  alone.start();
  await until(() => alone.connected);
  await alone.insert("Item", { n: 1 });
  await until(() => leader !== undefined && valuesOf(leader) === "1");
  expect(opened()).toBe(1);
  alone.stop();
  leader?.stop();
  await server.stop();
});

test("a tab that was behind the next leader misses no changes", async () => {
  const { sockets, server, client, shared } = await openTabs(1);
  const [leader] = sockets;
  if (leader === undefined) throw new Error("No tab leads.");
  const follow = (tabs: TabPlatform): SyncEngine => {
    const engine = createSyncEngine(server.url, {
      token: client.token ?? "",
      storage: createWriteThroughStorage({}, () => undefined),
      persist: false,
      platform: { tabs },
    });
    engine.start();
    return engine;
  };
  const base = shared.platformOf({});
  let isThere = false;
  let queueUp: () => void = () => undefined;
  const behind = follow({
    ...base,
    lock: (name, onHeld) => {
      // The first lock shows that the tab exists, the second one is for the leadership.
      if (!isThere) {
        isThere = true;
        return base.lock(name, onHeld);
      }
      queueUp = () => void base.lock(name, onHeld);
      return () => undefined;
    },
  });
  await until(() => behind.connected);
  // The server's messages do not reach the leader tab, and so reach no tab.
  for (const socket of leader) socket.onmessage = null;
  await client.insert("Item", { n: 1 });
  const ahead = follow(shared.platformOf({}));
  await until(() => valuesOf(ahead) === "1");
  expect(valuesOf(behind)).toBe("");
  queueUp();
  shared.end(leader);
  for (const socket of leader) {
    socket.onopen = socket.onclose = null;
    socket.close();
  }
  await client.insert("Item", { n: 2 });
  await until(() => [ahead, behind].every((engine) => valuesOf(engine).endsWith("2")));
  expect(valuesOf(behind)).toBe("1,2");
  for (const engine of [ahead, behind]) engine.stop();
  await server.stop();
});

test("followers of a suspended leader notice it, and connect by themselves", async () => {
  const { server, client, shared } = await openTabs(1);
  const clock = new LongClock();
  const follower = createSyncEngine(server.url, {
    token: client.token ?? "",
    storage: createWriteThroughStorage({}, () => undefined),
    persist: false,
    platform: { tabs: shared.platformOf(clock), after: clock.after },
  });
  follower.start();
  await until(() => follower.connected);
  // Like a background tab on a phone: it holds its lock, but neither receives nor sends messages.
  shared.suspendOthers(clock);
  await client.insert("Item", { n: 1 });
  clock.pass();
  await until(() => valuesOf(follower) === "1");
  follower.stop();
  await server.stop();
});
