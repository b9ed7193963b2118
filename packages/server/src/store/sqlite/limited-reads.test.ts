import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { and, literal, not, or, path, type Expr } from "@pylonsync/query";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { systemPlatform } from "../../platform.ts";
import { planMigration } from "../../schema/diff.ts";
import type { Reader, Select, Store } from "../store.ts";
import { tableShapes } from "../table-shapes.ts";
import { ReadPlans } from "./read-plans.ts";
import { ReaderPool } from "./reader-pool.ts";
import { SqliteReader, TableSet, type StatementSource } from "./sqlite-reader.ts";
import { openSqliteStore } from "./sqlite-store.ts";

const manifest = buildManifest({
  name: "limited",
  version: "1.0.0",
  entities: [
    entity(
      "Channel",
      {
        name: field.string().unique(),
        ownerId: field.string(),
        teamId: field.string(),
        at: field.datetime(),
        open: field.bool(),
        size: field.float(),
      },
      {
        indexes: [
          { name: "by_owner", fields: ["ownerId"], unique: false },
          { name: "by_team", fields: ["teamId"], unique: false },
          { name: "by_team_at", fields: ["teamId", "at"], unique: false },
        ],
      },
    ),
    entity(
      "Member",
      { channelId: field.string(), userId: field.string(), role: field.string() },
      { indexes: [{ name: "one", fields: ["channelId", "userId"], unique: true }] },
    ),
  ],
});

const folder = mkdtempSync(join(tmpdir(), "pylon-limited-"));
const file = join(folder, "limited.db");
const tables = new TableSet(tableShapes(JSON.stringify(manifest)));
let store: Store;
let limited: Reader;
let plans: ReadPlans;

beforeAll(async () => {
  store = openSqliteStore(file);
  limited = store.limitedReader({ caller: "one", timeoutMs: 20_000 });
  plans = new ReadPlans(new Database(file));
  await store.migrate(() => ({
    migration: planMigration(null, manifest).migration,
    manifestJson: JSON.stringify(manifest),
  }));
  await store.transact(async (tx) => {
    for (let n = 0; n < 500; n += 1) {
      const id = String(n).padStart(3, "0");
      await tx.insert("Channel", {
        id,
        name: `channel ${id}`,
        ownerId: `u${n % 5}`,
        teamId: `t${n % 3}`,
        at: new Date(n * 1000).toISOString(),
        open: n % 2 === 0,
        size: n / 4,
      });
      await tx.insert("Member", { id, channelId: id, userId: `u${n % 7}`, role: "reader" });
    }
  });
});

afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

const data = (name: string): Expr => path("data", name);
const is = (left: Expr, right: Expr | string): Expr => ({
  kind: "compare",
  op: "==",
  left,
  right: typeof right === "string" ? literal(right) : right,
});
const after = (id: string): Expr => ({
  kind: "compare",
  op: ">",
  left: data("id"),
  right: literal(id),
});
const oneOf = (item: Expr, values: readonly string[]): Expr => ({
  kind: "in",
  item,
  list: { kind: "list", items: values.map(literal) },
});
const like = (name: string, part: string): Expr => ({
  kind: "contains",
  text: data(name),
  part: literal(part),
});
const member = (...conditions: readonly Expr[]): Expr => ({
  kind: "exists",
  entity: "Member",
  where: and(...conditions),
});
const inChannel = is(path("related", "channelId"), data("id"));
const isMember = member(inChannel, is(path("related", "userId"), "u1"));

const SHORT: Readonly<Record<string, Omit<Select, "entity">>> = {
  "by id": { where: is(data("id"), "007") },
  "by id, on some condition": {
    where: and(is(data("id"), "007"), or(data("open"), not(is(data("ownerId"), "u1")))),
  },
  "by id, for members": { where: and(is(data("id"), "001"), isMember) },
  "by id, for members or the owner": {
    where: and(is(data("id"), "001"), or(is(data("ownerId"), "u1"), isMember)),
  },
  "by a unique field": { where: is(data("name"), "channel 007") },
  "by some ids": { where: oneOf(data("id"), ["001", "002", "no"]) },
  "the first page": { limit: 100 },
  "a page by id": { where: after("100"), limit: 50 },
  "the last page": { order: [{ field: "id", direction: "desc" }], limit: 100 },
  "a page with an offset": { limit: 50, offset: 100 },
  "a page of an index": { where: is(data("ownerId"), "u1"), limit: 50 },
  "a page of an index, by id": {
    where: and(after("100"), is(data("ownerId"), "u1")),
    order: [{ field: "id", direction: "asc" }],
    limit: 50,
  },
};

const LONG: Readonly<Record<string, Omit<Select, "entity">>> = {
  everything: {},
  "a long page": { limit: 201 },
  "a far page": { limit: 50, offset: 10_000 },
  "a page of an index without a limit": { where: is(data("ownerId"), "u1") },
  "a page of an index with a condition": {
    where: and(is(data("ownerId"), "u1"), data("open")),
    limit: 10,
  },
  "a page in another order": { order: [{ field: "at", direction: "desc" }], limit: 10 },
  "a page by id downwards with a condition": {
    where: data("open"),
    order: [{ field: "id", direction: "desc" }],
    limit: 10,
  },
  "a page of an index that SQLite does not take": {
    where: is(data("teamId"), "t1"),
    order: [{ field: "at", direction: "asc" }],
    limit: 10,
  },
  "no index": { where: is(data("size"), literal(3)), limit: 10 },
  "a text by id": { where: and(is(data("id"), "007"), like("name", "7")) },
  "one of two": { where: or(is(data("id"), "007"), is(data("ownerId"), "u1")), limit: 10 },
  "not this one": { where: not(is(data("id"), "007")), limit: 10 },
  "an id that is null": { where: is(data("name"), literal(null)), limit: 10 },
  "rows for members": { where: isMember, limit: 10 },
  "by id, with an exists without an index": {
    where: and(is(data("id"), "001"), member(is(path("related", "role"), "reader"))),
  },
  "by id, with an exists that looks on after the index": {
    where: and(is(data("id"), "001"), member(inChannel, is(path("related", "role"), "x"))),
  },
  "by many ids": {
    where: oneOf(
      data("id"),
      Array.from({ length: 300 }, (_, n) => String(n)),
    ),
  },
};

/** How the store would run the read. */
function isShort(read: (reader: Reader) => Promise<unknown>): boolean {
  const decisions: boolean[] = [];
  const source: StatementSource = {
    first: () => null,
    all(text, _, { isBounded }) {
      decisions.push(plans.isShort(text, isBounded));
      return [];
    },
  };
  void read(new SqliteReader(source, () => tables));
  expect(decisions).toHaveLength(1);
  return decisions[0] === true;
}

for (const [kind, selects] of [
  ["short", SHORT],
  ["long", LONG],
] as const) {
  test.each(Object.entries(selects))(`D1: a read of %s counts as ${kind}`, async (_, select) => {
    const query = { entity: "Channel", ...select };
    expect(isShort((reader) => reader.select(query))).toBe(kind === "short");
    expect(await limited.select(query)).toEqual(await store.select(query));
  });
}

test("D1: a count is short with a key, and a condition on other rows with an index", async () => {
  const where = is(data("id"), "001");
  const isOne = member(
    is(path("related", "channelId"), "001"),
    is(path("related", "userId"), "u1"),
  );
  const hasRole = member(is(path("related", "role"), "reader"));
  expect(isShort((reader) => reader.count("Channel", where))).toBe(true);
  expect(isShort((reader) => reader.count("Channel", data("open")))).toBe(false);
  expect(isShort((reader) => reader.count("Channel"))).toBe(false);
  expect(isShort((reader) => reader.test(or(isOne, not(isOne))))).toBe(true);
  expect(isShort((reader) => reader.test(or(isOne, hasRole)))).toBe(false);
  for (const reader of [limited, store]) {
    expect(await reader.count("Channel", where)).toBe(1);
    expect(await reader.count("Channel")).toBe(500);
    expect([await reader.test(isOne), await reader.test(hasRole)]).toEqual([true, true]);
  }
});

test("D1: aggregates and values of every kind are the same from a reader process", async () => {
  const spec = {
    entity: "Channel",
    groupBy: [{ field: "open", as: "open" }],
    measures: [
      { fn: "count", as: "count" },
      { fn: "sum", field: "size", as: "size" },
      { fn: "max", field: "at", as: "at" },
    ],
  } as const;
  expect(await limited.aggregate(spec)).toEqual(await store.aggregate(spec));
  const pool = new ReaderPool(file, systemPlatform);
  const { rows } = await pool.run(
    { text: "SELECT 9e999 AS a, -9e999 AS b, 0.1 AS c, NULL AS d", params: [] },
    { caller: "one", timeoutMs: 20_000 },
  );
  expect(rows).toEqual([{ a: Infinity, b: -Infinity, c: 0.1, d: null }]);
  await pool.close();
});

test("D1: a read in a reader process also ends at its maximum bytes", async () => {
  const query = { entity: "Channel", where: data("open"), maxBytes: 1_000 };
  const rows = await limited.select(query);
  expect(rows).toEqual(await store.select(query));
  expect(rows.length).toBeLessThan(20);
});

test("D1: an error of the database is reported with its reason", async () => {
  const limits = { caller: "one", timeoutMs: 20_000 };
  const pool = new ReaderPool(file, systemPlatform);
  expect(
    await pool.run({ text: "SELECT nothing", params: [] }, limits).catch((error: unknown) => error),
  ).toMatchObject({ code: "SQLITE_ERROR", message: expect.stringContaining("nothing") });
  expect(
    await pool
      .run({ text: `DELETE FROM "Channel"`, params: [] }, limits)
      .catch((error: unknown) => error),
  ).toMatchObject({ code: "SQLITE_READONLY" });
  await pool.close();
});

test("D1: an unreadable database results in an error, not in endless retries", async () => {
  const pool = new ReaderPool(join(folder, "not-there.db"), systemPlatform);
  const limits = { caller: "one", timeoutMs: 20_000 };
  expect(
    await pool.run({ text: "SELECT 1", params: [] }, limits).catch((error: unknown) => error),
  ).toMatchObject({ message: expect.stringContaining("unable to open database file") });
  await pool.close();
});

/** Moves an amount between two rows: their sum is constant. */
async function move(): Promise<void> {
  await store.transact(async (tx) => {
    for (const [id, by] of [
      ["001", -1],
      ["002", 1],
    ] as const) {
      const row = await tx.get("Channel", id);
      await tx.update("Channel", id, { size: Number(row?.["size"]) + by });
    }
  });
}

const sizeOf = async (reader: Reader, id: string): Promise<number> =>
  Number((await reader.get("Channel", id))?.["size"]);
const sizeFound = async (reader: Reader, id: string): Promise<number> => {
  const where = and(is(data("id"), id), like("name", "channel"));
  const [row] = await reader.select({ entity: "Channel", where });
  return Number(row?.["size"]);
};

test.each([
  ["two short reads", sizeOf, sizeOf, 2],
  ["a short and a long one", sizeOf, sizeFound, 2],
  ["a long and a short one", sizeFound, sizeOf, 1],
  ["two long ones", sizeFound, sizeFound, 1],
])("D1: %s of a query see the same state", async (_, first, second, runs) => {
  const limits = { caller: "one", timeoutMs: 20_000 };
  const sum = (await sizeOf(store, "001")) + (await sizeOf(store, "002"));
  let run = 0;
  const found = await store.snapshot(async (reader) => {
    run += 1;
    const here = await first(reader, "001");
    await move();
    return here + (await second(reader, "002"));
  }, limits);
  expect([found, run]).toEqual([sum, runs]);
  // Nothing was committed in between: running once is sufficient.
  run = 0;
  const quiet = await store.snapshot(async (reader) => {
    run += 1;
    return (await first(reader, "001")) + (await second(reader, "002"));
  }, limits);
  expect([quiet, run]).toEqual([sum, 1]);
});

test("D1: a finished query reads no more, and its process is available to others", async () => {
  const limits = { caller: "one", timeoutMs: 20_000 };
  for (let round = 0; round < 10; round += 1) {
    const late = await store.snapshot(async (reader) => {
      await sizeFound(reader, "001");
      return { reader };
    }, limits);
    expect(await sizeOf(late.reader, "001").catch(String)).toContain("has ended");
    expect(await sizeFound(late.reader, "001").catch(String)).toContain("has ended");
  }
  const stop = new AbortController();
  const aborted = store.snapshot(
    async (reader) => {
      await sizeFound(reader, "001");
      stop.abort(new Error("enough"));
      return sizeFound(reader, "001");
    },
    limits,
    stop.signal,
  );
  expect(await aborted.catch(String)).toContain("enough");
  expect(await limited.select({ entity: "Channel" })).toHaveLength(500);
});
