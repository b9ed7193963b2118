import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PylonError, type ChangeEvent } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import { until } from "../../../../tests/support/client.ts";
import { appOf } from "../../../../tests/support/server.ts";
import { compileApp } from "../app/compile-app.ts";
import { ANONYMOUS_IDENTITY } from "../identity/identity.ts";
import { systemPlatform, type Platform } from "../platform.ts";
import { turn } from "../testing/manual-platform.ts";
import { planMigration } from "../schema/diff.ts";
import { openSqliteStore } from "../store/sqlite/sqlite-store.ts";
import type { Reader, Store } from "../store/store.ts";
import { Feed } from "./feed.ts";
import { PositionPassed } from "./position-reader.ts";
import { JOIN_TURNS } from "./replica-join.ts";
import { Subscriber } from "../connections/subscriber.ts";
import { queuesOf } from "../connections/testing/queues-of.ts";

const manifest = buildManifest({
  name: "feed",
  version: "1.0.0",
  access: "public",
  entities: [
    entity("Counter", { n: field.int() }),
    entity("Member", { team: field.string() }),
    entity("Doc", { team: field.string() }),
  ],
  policies: [
    policy({ name: "docs", entity: "Doc", allowRead: "exists(Member, team == data.team)" }),
  ],
});
/** More than the feed reads of the log at a time. */
const MANY = 600;

/** Writes rows of this number, in one transaction, in the order of the ids. */
function write(store: Store, n: number, ids: readonly string[]): Promise<void> {
  return store.transact(async (tx) => {
    for (const id of ids) {
      const before = await tx.get("Counter", id);
      const after = { id, n };
      if (before === null) await tx.insert("Counter", after);
      else await tx.update("Counter", id, { n });
      const kind = before === null ? "insert" : "update";
      await tx.append({ entity: "Counter", rowId: id, kind, before, after, at: n });
    }
  });
}

/** @param beforeRead called before each select of a limited reader, with its caller */
function storeWith(
  store: Store,
  beforeRead: (caller: string) => Promise<void>,
  others: Partial<Store> = {},
): Store {
  const overrides: Partial<Store> = {
    limitedReader: (limits): Reader => {
      const reader = store.limitedReader(limits);
      return {
        get: (...args) => reader.get(...args),
        count: (...args) => reader.count(...args),
        aggregate: (...args) => reader.aggregate(...args),
        test: (...args) => reader.test(...args),
        search: (query) => reader.search(query),
        select: async (query) => {
          await beforeRead(limits.caller);
          return reader.select(query);
        },
      };
    },
    ...others,
  };
  return new Proxy(store, {
    get(target, name) {
      const own: unknown = Reflect.get(overrides, name) ?? Reflect.get(target, name, target);
      return typeof own === "function" ? (own.bind(target) as unknown) : own;
    },
  });
}

/** The store of a feed that receives changes late: only when it asks for them. */
function laggingStore(store: Store, beforeRead: () => Promise<void>): Store {
  const held: (() => void)[] = [];
  return storeWith(store, beforeRead, {
    follow: (listener) => store.follow((changes) => held.push(() => listener(changes))),
    settle: async () => {
      await store.settle();
      for (const deliver of held.splice(0)) deliver();
    },
  });
}

async function openStore(): Promise<Store & { remove(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "pylon-feed-"));
  const store = openSqliteStore(join(folder, "feed.db"));
  await store.migrate(() => ({
    migration: planMigration(null, manifest).migration,
    manifestJson: JSON.stringify(manifest),
  }));
  return Object.assign(store, {
    remove: async () => {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  });
}

async function startFeed(
  store: Store,
  failures: unknown[],
  platform: Platform = systemPlatform,
): Promise<Feed> {
  const { app } = compileApp(appOf(manifest), { dev: false });
  if (app === null) throw new Error("The app is not valid.");
  const feed = new Feed(
    store,
    app.model,
    { ...platform, now: () => 0 },
    async () => "valid",
    20_000,
    {
      failed: (error) => failures.push(error),
      delivered: () => undefined,
      traced: (_changes, _connections, deliver) => deliver(),
    },
  );
  await feed.start();
  return feed;
}

function subscriber(
  texts: string[],
  version: 1 | 2,
  onWrite: () => void = () => undefined,
): Subscriber {
  const outlet = {
    transport: "websocket",
    topics: null,
    write: (text: string) => {
      onWrite();
      texts.push(text);
      return 0;
    },
    queued: () => 0,
    drained: () => Promise.resolve(),
    close: () => undefined,
    terminate: () => undefined,
  } as const;
  return new Subscriber(ANONYMOUS_IDENTITY, outlet, queuesOf(), systemPlatform, version);
}

test("the follower of the log learns of changes and sockets that have not joined", async () => {
  const store = await openStore();
  const feed = await startFeed(store, []);
  const rows: string[] = [];
  const left: unknown[] = [];
  feed.followWith({ onChange: ({ rowId }) => rows.push(rowId), leave: (one) => left.push(one) });
  const early = subscriber([], 1);
  feed.leave(early);
  expect(left).toEqual([early]);
  await write(store, 1, ["early"]);
  await until(() => rows.length > 0);
  await feed.join(subscriber([], 1), { seq: 0, epoch: (await store.bounds()).epoch });
  await write(store, 2, ["later"]);
  await until(() => rows.length > 1);
  expect(rows).toEqual(["early", "later"]);
  feed.stop();
  await store.remove();
});

test("a change is delivered in the turn of its commit, unless deliveries take long", async () => {
  const store = await openStore();
  const later: (() => void)[] = [];
  let time = 0;
  const feed = await startFeed(store, [], {
    ...systemPlatform,
    monotonic: () => time,
    soon: (work) => void later.push(work),
  });
  const texts: string[] = [];
  let costMs = 0;
  const { epoch } = await store.bounds();
  await feed.join(
    subscriber(texts, 1, () => (time += costMs)),
    { seq: 0, epoch },
  );
  const heardAfterWrite = async (n: number): Promise<boolean> => {
    texts.length = 0;
    await write(store, n, ["row"]);
    await turn();
    return texts.length > 0;
  };
  expect(await heardAfterWrite(1)).toBe(true);
  costMs = 5;
  expect(await heardAfterWrite(2)).toBe(true);
  costMs = 0;
  expect(await heardAfterWrite(3)).toBe(false);
  for (const work of later.splice(0)) work();
  await turn();
  expect(texts.map((text) => (JSON.parse(text) as ChangeEvent).data)).toEqual([{ n: 3 }]);
  expect(await heardAfterWrite(4)).toBe(true);
  expect(later).toEqual([]);
  feed.stop();
  await store.remove();
});

test("many older clients that join after many writes share one read of the log", async () => {
  const store = await openStore();
  const ids = Array.from({ length: MANY }, (_, n) => `row${n}`);
  await write(store, 1, ids);
  const failures: unknown[] = [];
  let [logReads, reading, mostReading] = [0, 0, 0];
  const counted = storeWith(
    store,
    async () => {
      mostReading = Math.max(mostReading, (reading += 1));
      await turn();
      reading -= 1;
    },
    {
      changes: (...args) => {
        logReads += 1;
        return store.changes(...args);
      },
    },
  );
  const feed = await startFeed(counted, failures);
  const ofStart = logReads;
  const clients = Array.from({ length: 3 * JOIN_TURNS.atOnce }, (): string[] => []);
  await Promise.all(clients.map((texts) => feed.join(subscriber(texts, 1), null)));
  for (const texts of clients)
    expect(texts.map((text) => (JSON.parse(text) as ChangeEvent).row_id)).toEqual(ids);
  expect(logReads).toBe(ofStart);
  expect(mostReading).toBeGreaterThan(0);
  expect(mostReading).toBeLessThanOrEqual(JOIN_TURNS.atOnce);
  expect(failures).toEqual([]);
  feed.stop();
  await store.remove();
});

test("F2: a client that catches up with a feed that lags behind sees no row go back", async () => {
  const store = await openStore();
  const fillers = Array.from({ length: MANY }, (_, n) => `filler${n}`);
  await write(store, 1, ["row", ...fillers]);
  await write(store, 2, ["row"]);

  let reads = 0;
  const lagging = laggingStore(store, async () => {
    reads += 1;
    if (reads > 1) return;
    await write(store, 3, ["row"]);
    await write(store, 4, ["row"]);
  });
  const failures: unknown[] = [];
  const feed = await startFeed(lagging, failures);
  const texts: string[] = [];
  const { epoch } = await store.bounds();
  await feed.join(subscriber(texts, 1), { seq: 0, epoch });
  // What the feed has not delivered before the client joined, it delivers now.
  await lagging.settle();
  await turn();

  const numbers = texts
    .map((text) => JSON.parse(text) as ChangeEvent)
    .filter(({ row_id: id }) => id === "row")
    .map(({ data }) => data?.["n"]);
  expect(failures).toEqual([]);
  expect(numbers).toEqual(numbers.toSorted((a, b) => Number(a) - Number(b)));
  expect(numbers.at(-1)).toBe(4);
  feed.stop();
  await store.remove();
});

test("a window that can't be refilled in time is read again", async () => {
  const store = await openStore();
  for (const [index, id] of ["a", "b", "c"].entries()) await write(store, index, [id]);
  let refusals = 0;
  const busy = storeWith(store, (caller) => {
    // The feed waits for this read, so it has a short time limit.
    if (!caller.startsWith("window ")) return Promise.resolve();
    refusals += 1;
    return Promise.reject(new PylonError("QUERY_TIMEOUT", "A read took longer than 1 s."));
  });
  const failures: unknown[] = [];
  const feed = await startFeed(busy, failures);
  const texts: string[] = [];
  const client = subscriber(texts, 2);
  await feed.join(client, null);
  const order = { n: "asc" };
  feed.receive(
    client,
    JSON.stringify({ type: "subscribe", id: 1, entity: "Counter", order, limit: 1 }),
  );
  const types = (): unknown[] => texts.map((text) => (JSON.parse(text) as { type: string }).type);
  await until(() => types().at(-1) === "ready");
  await store.transact(async (tx) => {
    await tx.delete("Counter", "a");
    const before = { id: "a", n: 0 };
    await tx.append({ entity: "Counter", rowId: "a", kind: "delete", before, after: null, at: 3 });
  });
  await until(() => types().filter((type) => type === "ready").length === 2);
  expect(refusals).toBe(1);
  expect(types().slice(types().indexOf("resync"))).toEqual(["resync", "rows", "ready"]);
  expect(texts.at(-2)).toContain('"rows":[{"id":"b","n":1}]');
  expect([failures, types().includes("error")]).toEqual([[], false]);
  feed.stop();
  await store.remove();
});

test("rows that are being read are read again if a change can't be applied meanwhile", async () => {
  const store = await openStore();
  const insert = (entity: string, id: string): Promise<void> =>
    store.transact(async (tx) => {
      const after = { id, team: "red" };
      await tx.insert(entity, after);
      await tx.append({ entity, rowId: id, kind: "insert", before: null, after, at: 0 });
    });
  await insert("Member", "m");
  let isTooFarAhead = false;
  let reads = 0;
  const ahead = storeWith(store, () => Promise.resolve(), {
    select: (query) => {
      if (!isTooFarAhead || query.entity !== "Member") return store.select(query);
      isTooFarAhead = false;
      return Promise.reject(new PositionPassed("The store is too far ahead."));
    },
    limitedReader: (limits) => {
      const reader = store.limitedReader(limits);
      const select: Reader["select"] = async (query) => {
        const rows = await reader.select(query);
        reads += 1;
        if (reads > 1) return rows;
        // The rows were read before this one was inserted.
        isTooFarAhead = true;
        await insert("Doc", "late");
        return rows;
      };
      return new Proxy(reader, {
        get: (target, name) => (name === "select" ? select : Reflect.get(target, name, target)),
      });
    },
  });
  const failures: unknown[] = [];
  const feed = await startFeed(ahead, failures);
  const texts: string[] = [];
  const client = subscriber(texts, 2);
  await feed.join(client, null);
  feed.receive(client, JSON.stringify({ type: "subscribe", id: 1, entity: "Doc" }));
  await until(() => texts.at(-1)?.includes('"ready"') === true);
  expect([isTooFarAhead, failures]).toEqual([false, []]);
  const last = texts.filter((text) => text.includes('"rows"')).at(-1);
  expect(last).toContain('"id":"late"');
  feed.stop();
  await store.remove();
});
