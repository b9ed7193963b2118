import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChangeEvent } from "@pylonsync/protocol";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import { appOf } from "../../../../tests/support/server.ts";
import { compileApp } from "../app/compile-app.ts";
import { ANONYMOUS_IDENTITY } from "../identity/identity.ts";
import { systemPlatform } from "../platform.ts";
import { planMigration } from "../schema/diff.ts";
import { openSqliteStore } from "../store/sqlite/sqlite-store.ts";
import type { Reader, Store } from "../store/store.ts";
import { Feed } from "./feed.ts";
import { Subscriber } from "../connections/subscriber.ts";

const manifest = buildManifest({
  name: "feed",
  version: "1.0.0",
  access: "public",
  entities: [entity("Counter", { n: field.int() })],
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

/** The store of a feed that hears of changes late: only when it asks for them. */
function laggingStore(store: Store, beforeRead: () => Promise<void>): Store {
  const held: (() => void)[] = [];
  const overrides: Partial<Store> = {
    follow: (listener) => store.follow((changes) => held.push(() => listener(changes))),
    settle: async () => {
      await store.settle();
      for (const deliver of held.splice(0)) deliver();
    },
    limitedReader: (limits): Reader => {
      const reader = store.limitedReader(limits);
      return {
        get: (...args) => reader.get(...args),
        count: (...args) => reader.count(...args),
        aggregate: (...args) => reader.aggregate(...args),
        test: (...args) => reader.test(...args),
        search: (query) => reader.search(query),
        select: async (query) => {
          await beforeRead();
          return reader.select(query);
        },
      };
    },
  };
  return new Proxy(store, {
    get(target, name) {
      const own: unknown = Reflect.get(overrides, name) ?? Reflect.get(target, name, target);
      return typeof own === "function" ? (own.bind(target) as unknown) : own;
    },
  });
}

test("F2: a client that catches up with a feed that lags behind sees no row go back", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pylon-feed-"));
  const store = openSqliteStore(join(folder, "feed.db"));
  await store.migrate(() => ({
    migration: planMigration(null, manifest).migration,
    manifestJson: JSON.stringify(manifest),
  }));
  const { app } = compileApp(appOf(manifest), { dev: false });
  if (app === null) throw new Error("The app is not valid.");
  const fillers = Array.from({ length: MANY }, (_, n) => `filler${n}`);
  await write(store, 1, ["row", ...fillers]);
  await write(store, 2, ["row"]);

  let reads = 0;
  const lagging = laggingStore(store, async () => {
    reads += 1;
    if (reads === 1) await write(store, 3, ["row"]);
  });
  const failures: unknown[] = [];
  const feed = new Feed(
    lagging,
    app.model,
    { now: () => 0, soon: systemPlatform.soon },
    async () => "valid",
    20_000,
    {
      failed: (error) => failures.push(error),
      delivered: () => undefined,
      traced: (_changes, _connections, deliver) => deliver(),
    },
  );
  await feed.start();
  const texts: string[] = [];
  const outlet = {
    transport: "websocket",
    topics: null,
    write: (text: string) => (texts.push(text), 0),
    drained: () => Promise.resolve(),
    close: () => undefined,
    terminate: () => undefined,
  } as const;
  const { epoch } = await store.bounds();
  await feed.join(new Subscriber(ANONYMOUS_IDENTITY, outlet, Infinity, systemPlatform), {
    seq: 0,
    epoch,
  });

  const numbers = texts
    .map((text) => JSON.parse(text) as ChangeEvent)
    .filter(({ row_id: id }) => id === "row")
    .map(({ data }) => data?.["n"]);
  expect(failures).toEqual([]);
  expect(numbers).toEqual(numbers.toSorted((a, b) => Number(a) - Number(b)));
  expect(numbers.at(-1)).toBe(3);
  feed.stop();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});
