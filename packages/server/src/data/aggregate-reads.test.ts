import { PylonError } from "@pylonsync/protocol";
import { addDecimals, compareDecimals, compareValues, QueryError } from "@pylonsync/query";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import type { StoredRow, TimeBucket, Value } from "../store/store.ts";
import { openAppData, user, type AppData } from "./testing/app-data.ts";
import { chat, chatReaders, chatRows, loadChat, readableRows } from "./testing/chat-world.ts";

type Result = Readonly<Record<string, Value>>;

const groups = fc.uniqueArray(
  fc.oneof(
    fc.constantFrom("channelId", "text", "n", "price"),
    fc.record(
      {
        field: fc.constant("at"),
        bucket: fc.constantFrom<TimeBucket[]>("hour", "day", "week", "month", "year"),
        timeZone: fc.constantFrom("Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"),
      },
      { requiredKeys: ["field", "bucket"] },
    ),
  ),
  { maxLength: 2, selector: (item) => (typeof item === "string" ? item : item.field) },
);
const MEASURES = {
  count: "size",
  sum: ["n", "size", "price"],
  avg: ["size", "price"],
  min: ["n", "at", "price"],
  max: ["size", "price"],
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
  [
    { sum_price: { $gte: "9.5" }, max_price: { $ne: 10 } },
    ({ sum_price: sum, max_price: max }) =>
      sum !== null && compareDecimals(String(sum), "9.5") >= 0 && max !== "10",
  ],
);
const results = fc.constantFrom(
  "count",
  "count_size",
  "sum_n",
  "avg_size",
  "min_at",
  "max_size",
  "sum_price",
  "min_price",
);
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

/** The local time in a zone, formatted as the engine formats UTC. */
function localTime(at: number, timeZone: string): string {
  const written = new Date(at).toLocaleString("sv-SE", { timeZone });
  return `${written.replace(" ", "T")}.000Z`;
}

/** The first minute whose local bucket is that of the moment. */
function zonedBucket(at: string, bucket: TimeBucket, timeZone: string): string {
  const minute = 60_000;
  const bucketAt = (time: number): string => bucketOf(localTime(time, timeZone), bucket);
  let [before, after] = [Date.parse(at) - 367 * 24 * 60 * minute, Date.parse(at)];
  before = Math.floor(before / minute) * minute;
  const key = bucketAt(after);
  // In the zones of this test an hour can occur twice, each time as its own bucket; no day begins
  // twice.
  if (bucket === "hour") {
    const second = Math.floor(after / 1000) * 1000;
    const elapsed = Date.parse(localTime(second, timeZone)) - Date.parse(key);
    return new Date(second - elapsed).toISOString();
  }
  const isIn = (time: number): boolean => bucketAt(time) >= key;
  after = Math.floor(after / minute) * minute;
  while (after - before > minute) {
    const middle = Math.floor((before + after) / 2 / minute) * minute;
    if (isIn(middle)) after = middle;
    else before = middle;
  }
  return new Date(isIn(before) ? before : after).toISOString();
}

/** The start of the bucket in UTC, by JavaScript's calendar functions. */
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
      typeof item === "string" || typeof value !== "string"
        ? value
        : item.timeZone === undefined
          ? bucketOf(value, item.bucket)
          : zonedBucket(value, item.bucket, item.timeZone),
    ];
  });
}

/** The order of the values of a field, or of the result named after it. */
function orderOf(name: string): (a: Value | undefined, b: Value | undefined) => number {
  return (a, b) =>
    name.endsWith("price") && typeof a === "string" && typeof b === "string"
      ? compareDecimals(a, b)
      : compareValues(a, b);
}

function measured(rows: readonly StoredRow[]): Result {
  const values = (field: string): Value[] =>
    rows.map((row) => row[field] ?? null).filter((value) => value !== null);
  const numbers = (field: string): number[] => values(field).map(Number);
  const sum = (field: string): number | null =>
    numbers(field).length === 0 ? null : numbers(field).reduce((a, b) => a + b, 0);
  const sorted = (field: string): Value[] => values(field).toSorted(orderOf(field));
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
    sum_price: rows.reduce<string | null>((sum, { price }) => {
      return typeof price === "string" ? addDecimals(sum ?? "0", price) : sum;
    }, null),
    min_price: sorted("price")[0] ?? null,
    max_price: sorted("price").at(-1) ?? null,
    countDistinct_text: new Set(values("text")).size,
  };
}

/** The result of an aggregate according to the docs, computed by scanning all rows. */
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
        const result = orderOf(field)(a[field], b[field]);
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

  test(`${database}: aggregates equal a scan of the rows that the caller may read`, async () => {
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
          const [mean, sum] = [found[index]?.["avg_price"], row["sum_price"]];
          if (typeof sum !== "string") expect(mean).toBeNull();
          expect(found[index]?.["count_distinct_text"]).toBe(row["countDistinct_text"] ?? null);
        }
      }),
      { numRuns: database === "sqlite" ? 300 : 40 },
    );
  }, 60_000);
}

const AT = ["2026-11-28T11:20:00.000Z", "2026-01-01T00:00:00.000Z", null];

test("buckets have the labels that ported charts read, in addition to their starts", async () => {
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

const dated = buildManifest({
  name: "dated",
  version: "1.0.0",
  entities: [entity("Bill", { due: field.date().optional(), note: field.string().optional() })],
});
const dates = fc
  .date({ min: new Date("0001-01-01T00:00:00Z"), max: new Date("9999-12-31T00:00:00Z") })
  .filter((date) => !Number.isNaN(date.getTime()))
  .map((date) => date.toISOString().slice(0, 10));
const nearDates = fc.integer({ min: 0, max: 800 }).map((days) => {
  return new Date(Date.UTC(2023, 11, 20 + days)).toISOString().slice(0, 10);
});

for (const database of ["sqlite", "postgres"] as const) {
  let app: AppData;
  beforeAll(async () => {
    app = await openAppData(dated, { database });
  });
  afterAll(() => app[Symbol.asyncDispose]());

  async function bucketsOf(bucket: string, values: readonly (string | null)[]): Promise<Result[]> {
    await app.clear();
    await app.store.transact(async (tx) => {
      for (const [n, due] of values.entries())
        await tx.insert("Bill", { id: `b${n}`, due, note: null });
    });
    const groupBy = [{ field: "due", bucket }];
    return app.reads().aggregate("Bill", { count: true, groupBy });
  }

  test(`${database}: dates are grouped by day, week, month and year`, async () => {
    const units = fc.constantFrom<TimeBucket[]>("day", "week", "month", "year");
    const values = fc.array(fc.option(fc.oneof(nearDates, dates)), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(values, units, async (rows, bucket) => {
        const starts = rows.map((due) => due && bucketOf(`${due}T00:00:00Z`, bucket).slice(0, 10));
        const found = await bucketsOf(bucket, rows);
        const expected = [...new Set(starts)].toSorted(compareValues);
        expect(found.map((row) => row["due"])).toEqual(expected);
        for (const { due, count, [`due_${bucket}`]: label } of found) {
          expect(count).toBe(starts.filter((start) => start === due).length);
          if (bucket !== "week")
            expect(due?.toString().startsWith(String(label)) ?? true).toBe(true);
        }
      }),
      { numRuns: database === "sqlite" ? 200 : 60 },
    );
    expect(await bucketsOf("week", ["2026-01-04", "2026-01-05", "2026-01-11"])).toEqual([
      { due: "2025-12-29", due_week: "2025-W52", count: 1 },
      { due: "2026-01-05", due_week: "2026-W01", count: 2 },
    ]);
  }, 60_000);

  test(`${database}: a text from before the field was a date belongs to no bucket`, async () => {
    const others = ["", "now", "2026-1-5", "2026-13-01", "2026-00-10", "2026-01-00", "0000-01-01"];
    const texts = [
      ...others,
      "2026-01-05 ",
      "2026-01-05\n",
      "2026-01-05T00:00:00Z",
      "２０２６-01-05",
    ];
    for (const bucket of ["day", "week", "month", "year"])
      expect(await bucketsOf(bucket, ["2026-01-05", ...texts])).toMatchObject([
        { count: 1 },
        { due: null, [`due_${bucket}`]: null, count: texts.length },
      ]);
  });
}

test("dates have neither hours nor a time zone", async () => {
  await using app = await openAppData(dated);
  const refused = (group: object): Promise<unknown> =>
    app
      .reads()
      .aggregate("Bill", { count: true, groupBy: [{ field: "due", bucket: "day", ...group }] })
      .then(
        () => "accepted",
        (error: PylonError) => [error.code, error.field],
      );
  expect(await refused({ bucket: "hour" })).toEqual(["INVALID_QUERY", "groupBy[0].bucket"]);
  expect(await refused({ timeZone: "UTC" })).toEqual(["INVALID_QUERY", "groupBy[0].timeZone"]);
  expect(await refused({ field: "note" })).toEqual(["INVALID_QUERY", "groupBy[0].bucket"]);
});

test("days of a time zone start at its local midnight, also when the offset changes", async () => {
  await using app = await openAppData(chat);
  const days = async (timeZone: string, at: readonly string[]): Promise<unknown> => {
    await loadChat(app, {
      Team: [],
      Channel: [],
      Member: [],
      Message: at.map((moment, n) => ({ id: `m${n}`, text: "a", at: moment })),
    });
    const groupBy = [{ field: "at", bucket: "day", timeZone }];
    const rows = await app.reads().aggregate("Message", { count: true, groupBy });
    return rows.map((row) => [row["at"], row["at_day"], row["count"]]);
  };
  // Clocks go from 0:00 to 1:00, and back from 1:00 to 0:00 of the same day.
  const forward = ["2026-03-28T21:59:00.000Z", "2026-03-28T22:30:00.000Z"];
  expect(await days("Asia/Beirut", forward)).toEqual([
    ["2026-03-27T22:00:00.000Z", "2026-03-28", 1],
    ["2026-03-28T22:00:00.000Z", "2026-03-29", 1],
  ]);
  const back = ["2026-11-01T03:59:00.000Z", "2026-11-01T04:30:00.000Z", "2026-11-01T05:30:00.000Z"];
  expect(await days("America/Havana", back)).toEqual([
    ["2026-10-31T04:00:00.000Z", "2026-10-31", 1],
    ["2026-11-01T04:00:00.000Z", "2026-11-01", 2],
  ]);
  const far = days("Europe/Berlin", ["1500-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z"]);
  expect(await far.catch((error: PylonError) => error.field)).toBe("groupBy[0].timeZone");
});

test("invalid having, order and limit are rejected with their place", async () => {
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
    [
      { groupBy: [{ field: "at", bucket: "day", timeZone: "Berlin" }] },
      "INVALID_QUERY",
      "groupBy[0].timeZone",
    ],
    [{ groupBy: [{ field: "at", timeZone: "UTC" }] }, "INVALID_QUERY", "groupBy[0].timeZone"],
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
