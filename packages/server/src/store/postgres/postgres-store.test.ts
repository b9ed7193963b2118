import { expect, test } from "bun:test";
import { Client } from "pg";
import { storeSuite } from "../store.suite.ts";
import {
  createDatabase,
  sharedPostgresUrl,
} from "../../../../../tests/support/servers/postgres.ts";
import type { LogBounds } from "../store.ts";
import type { QueryObserver } from "../../observe/query-observer.ts";
import { openPostgresStore, type PostgresStore } from "./postgres-store.ts";

function open(
  url: string,
  observer: QueryObserver | null = null,
  onCopy?: () => void,
): Promise<PostgresStore> {
  return openPostgresStore({
    url,
    observer,
    onCopy,
    poolMax: 4,
    ca: null,
    startTimeoutMs: 0,
    onState: () => undefined,
  });
}

storeSuite("Postgres", async () => {
  const url = await createDatabase(sharedPostgresUrl());
  let store = await open(url);
  return {
    store,
    reopen: async () => {
      await store.close();
      store = await open(url);
      return store;
    },
    remove: () => store.close(),
  };
});

test("a work that fails before its first statement does not undo those beside it", async () => {
  const store = await open(await createDatabase(sharedPostgresUrl()));
  const ran: string[] = [];
  const abort = new AbortController();
  const write = (id: string): Promise<void> =>
    store.transact(
      async (tx) => {
        ran.push(id);
        // What is written with other work, and sent later, goes with the work.
        await tx.insertNew("_pylon_passwords", { id, hash: id });
        await tx.append({
          entity: "Note",
          rowId: id,
          kind: "delete",
          before: null,
          after: null,
          at: 0,
        });
        if (id === "b") throw new Error("no");
        if (id === "d") abort.abort(new Error("enough"));
        if (id === "d") await new Promise(() => undefined);
      },
      { shared: "write", signal: id === "d" ? abort.signal : undefined },
    );
  await write("first");
  const ids = ["a", "b", "c", "d", "e"];
  const outcomes = await Promise.allSettled(ids.map(write));
  expect(outcomes.map((one) => (one.status === "rejected" ? String(one.reason) : "ok"))).toEqual([
    "ok",
    "Error: no",
    "ok",
    "Error: enough",
    "ok",
  ]);
  expect(ran).toEqual(["first", ...ids]);
  await store.settle();
  const log = await store.changes(0, 10);
  expect(log.map(({ rowId }) => rowId)).toEqual(["first", "a", "c", "e"]);
  const rows = await store.select({ entity: "_pylon_passwords" });
  expect(rows.map(({ id }) => id).toSorted()).toEqual(["a", "c", "e", "first"]);
  await store.close();
});

test("a system table that an older version made gets its new columns", async () => {
  const url = await createDatabase(sharedPostgresUrl());
  const old = new Client({ connectionString: url });
  await old.connect();
  await old.query(`CREATE TABLE "_pylon_ops" (id TEXT COLLATE "C" PRIMARY KEY, answer TEXT)`);
  await old.end();
  const store = await open(url);
  await store.transact((tx) =>
    tx.insert("_pylon_ops", { id: "x", answer: "1", at: "2026-01-01T00:00:00.000Z" }),
  );
  expect(await store.get("_pylon_ops", "x")).toMatchObject({ at: "2026-01-01T00:00:00.000Z" });
  await store.close();
});

test("a new log numbers changes in a cluster with lower transaction numbers", async () => {
  const url = await createDatabase(sharedPostgresUrl());
  let store = await open(url);
  const note = (rowId: string): Promise<void> =>
    store.transact((tx) =>
      tx.append({ entity: "Note", rowId, kind: "delete", before: null, after: null, at: 0 }),
    );
  await note("dumped");
  await store.close();
  const cluster = new Client({ connectionString: url });
  await cluster.connect();
  // The state in a dump of a cluster that has run for longer.
  await cluster.query(`UPDATE "_pylon_log" SET numbered_below = '18000000000000000000'`);
  await cluster.end();
  store = await open(url);
  const { head } = await store.bounds();
  await note("restored");
  await store.settle();
  expect((await store.changes(head, 10)).map(({ seq, rowId }) => [seq, rowId])).toEqual([
    [head + 1, "restored"],
  ]);
  await store.close();
});

test("a copy of a database has a new log, and the same database keeps its own", async () => {
  const url = await createDatabase(sharedPostgresUrl());
  const boundsOf = async (at: string): Promise<LogBounds> => {
    const store = await open(at);
    const bounds = await store.bounds();
    await store.close();
    return bounds;
  };
  const original = await boundsOf(url);
  const [from, to] = [new URL(url), new URL(url)];
  to.pathname = `${from.pathname}_copy`;
  const server = new Client({ connectionString: sharedPostgresUrl() });
  await server.connect();
  const [source, target] = [from.pathname.slice(1), to.pathname.slice(1)];
  await server.query(`CREATE DATABASE "${target}" TEMPLATE "${source}"`);
  await server.end();
  const copy = await boundsOf(to.href);
  expect(copy.epoch).not.toBe(original.epoch);
  expect(copy.floor).toBeGreaterThan(original.head);
  expect(await boundsOf(to.href)).toEqual(copy);
  expect(await boundsOf(url)).toEqual(original);
});

/** What a restore changes in the database itself. */
const RESTORES: readonly (readonly [what: string, sql: readonly string[]])[] = [
  [
    "a dump that is restored in place",
    [
      `ALTER TABLE "_pylon_log" RENAME TO "dumped"`,
      `CREATE TABLE "_pylon_log" (LIKE "dumped" INCLUDING ALL)`,
      `INSERT INTO "_pylon_log" SELECT * FROM "dumped"`,
      `DROP TABLE "dumped"`,
    ],
  ],
  [
    "a cluster that continues on a new timeline",
    [`UPDATE "_pylon_meta" SET value = '000000FF' WHERE key = 'timeline'`],
  ],
];
test.each(RESTORES)("%s has a new log, once", async (_what, sql) => {
  const url = await createDatabase(sharedPostgresUrl());
  const boundsOf = async (): Promise<readonly [LogBounds, copies: number]> => {
    let copies = 0;
    const store = await open(url, undefined, () => (copies += 1));
    const bounds = await store.bounds();
    await store.close();
    return [bounds, copies];
  };
  const [original] = await boundsOf();
  // An older version stored less.
  const admin = new Client({ connectionString: url });
  await admin.connect();
  await admin.query(`DELETE FROM "_pylon_meta" WHERE key IN ('log_table', 'timeline')`);
  expect(await boundsOf()).toEqual([original, 0]);
  for (const statement of sql) await admin.query(statement);
  await admin.end();
  const [restored, copies] = await boundsOf();
  expect(copies).toBe(1);
  expect(restored.epoch).not.toBe(original.epoch);
  expect(restored.floor).toBeGreaterThan(original.head);
  expect(await boundsOf()).toEqual([restored, 0]);
});

test("a store whose log is renewed elsewhere does not wait for changes", async () => {
  const url = await createDatabase(sharedPostgresUrl());
  const [store, other] = [await open(url), await open(url)];
  const heard: string[] = [];
  store.follow((changes) => heard.push(...changes.map(({ rowId }) => rowId)));
  const note = (rowId: string): Promise<void> =>
    other.transact((tx) =>
      tx.append({ entity: "Note", rowId, kind: "delete", before: null, after: null, at: 0 }),
    );
  await note("before");
  await store.settle();
  await other.renewLog();
  await store.settle();
  await note("after");
  await store.settle();
  expect(heard).toEqual(["before", "after"]);
  await store.close();
  await other.close();
});

test("the writes of a transaction are sent together; without statements none begins", async () => {
  const sent: { readonly text: string; readonly startedAt: number }[] = [];
  const store = await open(await createDatabase(sharedPostgresUrl()), {
    ran: (text, startedAt) => sent.push({ text, startedAt }),
  });
  const writes = (): typeof sent => sent.filter(({ text }) => /^(INSERT|UPDATE|COMMIT)/.test(text));
  sent.length = 0;
  await store.transact(() => Promise.resolve());
  expect(writes()).toEqual([]);
  await store.transact(async (tx) => {
    await tx.insertNew("_pylon_passwords", { id: "a", hash: "b" });
    await tx.insertNew("_pylon_totp", { id: "a", secret: "", isOn: true, step: 0 });
    await tx.append({
      ...{ entity: "Note", rowId: "a", kind: "delete" },
      ...{ before: null, after: null, at: 0 },
    });
    const refuse = (): Error => new Error("no");
    await tx.updateAtEnd("_pylon_passwords", { id: "a", patch: { hash: "c" } }, refuse);
  });
  const [first, ...others] = writes();
  expect(others.map(({ startedAt }) => startedAt === first?.startedAt)).toEqual([
    ...[true, true, true],
    // The commit.
    false,
  ]);
  expect(await store.get("_pylon_passwords", "a")).toMatchObject({ hash: "c" });
  await store.close();
});
