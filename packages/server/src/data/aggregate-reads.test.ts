import { PylonError } from "@pylonsync/protocol";
import { compareValues, QueryError } from "@pylonsync/query";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import type { StoredRow, TimeBucket, Value } from "../store/store.ts";
import { openAppData, user, type AppData } from "./testing/app-data.ts";
import { chat, chatReaders, chatRows, loadChat, readableRows } from "./testing/chat-world.ts";

type Result = Readonly<Record<string, Value>>;

const groups = fc.uniqueArray(
  fc.oneof(
    fc.constantFrom("channelId", "text", "n"),
    fc.record({
      field: fc.constant("at"),
      bucket: fc.constantFrom<TimeBucket[]>("hour", "day", "week", "month", "year"),
    }),
  ),
  { maxLength: 2, selector: (item) => (typeof item === "string" ? item : item.field) },
);
const MEASURES = {
  count: "size",
  sum: ["n", "size"],
  avg: ["size"],
  min: ["n", "at"],
  max: ["size"],
  countDistinct: ["text"],
} as const;
const havings = fc.constantFrom<(readonly [object | undefined, (row: Result) => boolean])[]>(
  [undefined, () => true],
  [{ count: { $gt: 1 } }, ({ count }) => Number(count) > 1],
  [
    { sum_n: { $between: [0, 2] } },
    ({ sum_n: n }) => n !== null && Number(n) >= 0 && Number(n) <= 2,
  ],
  [
    { $or: [{ avg_size: null }, { $not: { min_n: { $lt: 1 } } }] },
    ({ avg_size: avg, min_n: min }) => avg === null || min === null || Number(min) >= 1,
  ],
  [{ countDistinct_text: 1.5 }, () => false],
);
const results = fc.constantFrom("count", "count_size", "sum_n", "avg_size", "min_at", "max_size");
const specs = fc.record({
  groupBy: groups,
  having: havings,
  order: fc.uniqueArray(fc.tuple(results, fc.constantFrom("asc" as const, "desc" as const)), {
    maxLength: 2,
    selector: ([name]) => name,
  }),
  limit: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
});
type Spec = typeof specs extends fc.Arbitrary<infer S> ? S : never;

/** The start of the bucket in UTC, by the calendar of the engine. */
function bucketOf(at: string, bucket: TimeBucket): string {
  const date = new Date(at);
  date.setUTCMinutes(0, 0, 0);
  if (bucket !== "hour") date.setUTCHours(0);
  if (bucket === "week") date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
  if (bucket === "month" || bucket === "year") date.setUTCDate(1);
  if (bucket === "year") date.setUTCMonth(0);
  return date.toISOString();
}

function keyOf(row: StoredRow, groupBy: Spec["groupBy"]): [string, Value][] {
  return groupBy.map((item) => {
    const field = typeof item === "string" ? item : item.field;
    const value = row[field] ?? null;
    return [
      field,
      typeof item === "string" || typeof value !== "string" ? value : bucketOf(value, item.bucket),
    ];
  });
}

function measured(rows: readonly StoredRow[]): Result {
  const values = (field: string): Value[] =>
    rows.map((row) => row[field] ?? null).filter((value) => value !== null);
  const numbers = (field: string): number[] => values(field).map(Number);
  const sum = (field: string): number | null =>
    numbers(field).length === 0 ? null : numbers(field).reduce((a, b) => a + b, 0);
  const sorted = (field: string): Value[] => values(field).toSorted(compareValues);
  const size = sum("size");
  return {
    count: rows.length,
    count_size: values("size").length,
    sum_n: sum("n"),
    sum_size: size,
    avg_size: size === null ? null : size / numbers("size").length,
    min_n: sorted("n")[0] ?? null,
    min_at: sorted("at")[0] ?? null,
    max_size: sorted("size").at(-1) ?? null,
    countDistinct_text: new Set(values("text")).size,
  };
}

/** What the docs say of an aggregate, by a look through the rows. */
function expectedOf(rows: readonly StoredRow[], spec: Spec): Result[] {
  const found = new Map<string, { key: [string, Value][]; rows: StoredRow[] }>();
  if (spec.groupBy.length === 0) found.set("[]", { key: [], rows: [] });
  for (const row of rows) {
    const key = keyOf(row, spec.groupBy);
    const name = JSON.stringify(key);
    const group = found.get(name) ?? { key, rows: [] };
    found.set(name, group);
    group.rows.push(row);
  }
  const all = [...found.values()].map((group) => ({
    ...Object.fromEntries(group.key),
    ...measured(group.rows),
  }));
  const order = [
    ...spec.order,
    ...keyOf({ id: "" }, spec.groupBy).map(([field]) => [field, "asc"] as const),
  ];
  const [, keeps] = spec.having;
  return all
    .filter(keeps)
    .toSorted((a: Result, b: Result) => {
      for (const [field, direction] of order) {
        const result = compareValues(a[field], b[field]);
        if (result !== 0) return direction === "asc" ? result : -result;
      }
      return 0;
    })
    .slice(0, spec.limit);
}

for (const database of ["sqlite", "postgres"] as const) {
  let app: AppData;
  beforeAll(async () => {
    app = await openAppData(chat, { database });
  });
  afterAll(() => app[Symbol.asyncDispose]());

  test(`${database}: aggregates are what the rows that the caller may read come to`, async () => {
    await fc.assert(
      fc.asyncProperty(chatRows, chatReaders, specs, async (rows, caller, spec) => {
        await loadChat(app, rows);
        const { groupBy, having, order, limit } = spec;
        const found = await app.reads(caller).aggregate("Message", {
          ...MEASURES,
          groupBy,
          ...(having[0] === undefined ? {} : { having: having[0] }),
          ...(order.length === 0 ? {} : { order: Object.fromEntries(order) }),
          ...(limit === undefined ? {} : { limit }),
        });
        const expected = expectedOf(readableRows(rows, caller).Message, spec);
        expect(found).toHaveLength(expected.length);
        for (const [index, row] of expected.entries()) {
          expect(found[index]).toMatchObject(row);
          expect(found[index]?.["count_distinct_text"]).toBe(row["countDistinct_text"] ?? null);
        }
      }),
      { numRuns: database === "sqlite" ? 300 : 40 },
    );
  }, 60_000);
}

const AT = ["2026-11-28T11:20:00.000Z", "2026-01-01T00:00:00.000Z", null];

test("buckets have the labels that ported charts read, beside their starts", async () => {
  await using app = await openAppData(chat);
  await loadChat(app, {
    Team: [],
    Channel: [],
    Member: [],
    Message: AT.map((at, n) => ({ id: `m${n}`, text: "a", n, size: null, at, channelId: null })),
  });
  const labels = {
    hour: ["2026-01-01 00:00:00", "2026-11-28 11:00:00", null],
    day: ["2026-01-01", "2026-11-28", null],
    week: ["2025-W52", "2026-W47", null],
    month: ["2026-01", "2026-11", null],
    year: ["2026", null],
  };
  for (const [bucket, expected] of Object.entries(labels)) {
    const rows = await app
      .reads()
      .aggregate("Message", { count: "*", groupBy: [{ field: "at", bucket }] });
    expect(rows.map((row) => row[`at_${bucket}`])).toEqual(expected);
    expect(rows.every((row) => Object.hasOwn(row, "at") && !Object.hasOwn(row, "count_*"))).toBe(
      true,
    );
  }
});

test("what is wrong in having, order and limit is refused with its place", async () => {
  await using app = await openAppData(chat);
  const cases: [object, string, string][] = [
    [{ having: { sum_n: 1 } }, "INVALID_COLUMN", "sum_n"],
    [{ having: { count: "1" } }, "INVALID_QUERY", "count"],
    [{ having: { min_at: null }, min: ["at"] }, "INVALID_COLUMN", "min_at"],
    [{ having: { $limit: 1 } }, "INVALID_QUERY", "having.$limit"],
    [{ having: [] }, "INVALID_QUERY", "having"],
    [{ order: { n: "asc" } }, "INVALID_COLUMN", "order.n"],
    [{ order: { count: "up" } }, "INVALID_QUERY", "order.count"],
    [{ limit: 0 }, "INVALID_QUERY", "limit"],
    [{ limit: 1.5 }, "INVALID_QUERY", "limit"],
    [{ count: "nope" }, "INVALID_COLUMN", "count"],
  ];
  for (const [spec, ...expected] of cases) {
    const refused: unknown = await app
      .reads(user("ann"))
      .aggregate("Message", { count: true, ...spec })
      .then(
        () => "accepted",
        (error: unknown) =>
          error instanceof PylonError || error instanceof QueryError
            ? [error.code, error.field]
            : error,
      );
    expect([spec, refused]).toEqual([spec, expected]);
  }
});
