import { Database } from "bun:sqlite";
import { SQL } from "bun";
import { expect, test } from "bun:test";
import type { EntityShape, FieldKind } from "@pylonsync/query";
import type { Aggregate, TimeBucket } from "../store.ts";
import { compileAggregate, postgres, sqlite } from "./index.ts";

const shape: EntityShape = {
  name: "AggregateProbe",
  fields: new Map<string, FieldKind>([
    ["id", "id"],
    ["n", "int"],
    ["x", "float"],
    ["at", "datetime"],
    ["tag", "string"],
  ]),
};
const schema = new Map([[shape.name, shape]]);
const ROWS: [string, number | null, number | null, string | null, string | null][] = [
  ["a", Number.MAX_SAFE_INTEGER, 0.5, "2026-01-01T10:59:59.999Z", "é"],
  ["b", 1, 1.5, "2025-12-29T00:00:00.000Z", "z"],
  ["c", null, null, "2025-12-28T23:59:59.999Z", null],
  ["d", 3, -2, "2024-02-29T12:30:00.000Z", "z"],
  ["e", 4, 0, null, "\u{1F600}"],
];

type Run = (spec: Omit<Aggregate, "entity">) => Promise<Record<string, unknown>[]>;
const SCRATCH = process.env["PYLON_TEST_SQL_POSTGRES"];

async function withDatabases(check: (run: Run) => Promise<void>): Promise<void> {
  using database = new Database(":memory:");
  database.run(
    `CREATE TABLE "AggregateProbe" (id TEXT, n INTEGER, x REAL, at TEXT, tag TEXT) STRICT`,
  );
  for (const row of ROWS) database.run(`INSERT INTO "AggregateProbe" VALUES (?, ?, ?, ?, ?)`, row);
  await check(async (spec) =>
    database
      .prepare<Record<string, unknown>, []>(
        compileAggregate({ entity: shape.name, ...spec }, schema, sqlite).text,
      )
      .all(),
  );
  if (SCRATCH === undefined) return;
  await using server = new SQL(SCRATCH, { max: 1 });
  await server.unsafe(
    `CREATE TEMP TABLE "AggregateProbe" (
       id TEXT COLLATE "C", n BIGINT, x DOUBLE PRECISION, at TIMESTAMPTZ, tag TEXT COLLATE "C")`,
  );
  for (const row of ROWS)
    await server.unsafe(`INSERT INTO "AggregateProbe" VALUES ($1, $2, $3, $4, $5)`, row);
  await check(async (spec) => [
    ...((await server.unsafe(
      compileAggregate({ entity: shape.name, ...spec }, schema, postgres).text,
    )) as Record<string, unknown>[]),
  ]);
}

test("buckets start at UTC's hour, day, ISO week, month and year; null is last", async () => {
  const starts: Record<TimeBucket, (string | null)[]> = {
    hour: [
      "2024-02-29T12:00:00.000Z",
      "2025-12-28T23:00:00.000Z",
      "2025-12-29T00:00:00.000Z",
      "2026-01-01T10:00:00.000Z",
      null,
    ],
    day: [
      "2024-02-29T00:00:00.000Z",
      "2025-12-28T00:00:00.000Z",
      "2025-12-29T00:00:00.000Z",
      "2026-01-01T00:00:00.000Z",
      null,
    ],
    week: [
      "2024-02-26T00:00:00.000Z",
      "2025-12-22T00:00:00.000Z",
      "2025-12-29T00:00:00.000Z",
      null,
    ],
    month: [
      "2024-02-01T00:00:00.000Z",
      "2025-12-01T00:00:00.000Z",
      "2026-01-01T00:00:00.000Z",
      null,
    ],
    year: [
      "2024-01-01T00:00:00.000Z",
      "2025-01-01T00:00:00.000Z",
      "2026-01-01T00:00:00.000Z",
      null,
    ],
  };
  await withDatabases(async (run) => {
    for (const bucket of ["hour", "day", "week", "month", "year"] as const) {
      const rows = await run({
        groupBy: [{ field: "at", bucket, as: "start" }],
        measures: [{ fn: "count", as: "count" }],
      });
      expect([bucket, rows.map(({ start }) => start)]).toEqual([bucket, starts[bucket]]);
      expect(rows.reduce((sum, { count }) => sum + Number(count), 0)).toBe(ROWS.length);
    }
  });
});

test("measures are JSON numbers and stored forms, skip null, and do not overflow", async () => {
  const field = (fn: Aggregate["measures"][number]["fn"], name: string) => ({
    fn,
    field: name,
    as: `${fn}_${name}`,
  });
  const measures = [
    { fn: "count" as const, as: "count" },
    field("sum", "x"),
    field("avg", "x"),
    field("min", "n"),
    field("max", "n"),
    field("min", "at"),
    field("max", "at"),
    field("max", "tag"),
    field("countDistinct", "tag"),
  ];
  await withDatabases(async (run) => {
    expect(await run({ groupBy: [], measures })).toEqual([
      {
        count: 5,
        sum_x: 0,
        avg_x: 0,
        min_n: 1,
        max_n: Number.MAX_SAFE_INTEGER,
        min_at: "2024-02-29T12:30:00.000Z",
        max_at: "2026-01-01T10:59:59.999Z",
        max_tag: "\u{1F600}",
        countDistinct_tag: 3,
      },
    ]);
    expect(
      (await run({ groupBy: [{ field: "tag", as: "tag" }], measures: [field("sum", "n")] })).map(
        ({ tag, sum_n }) => [tag, sum_n],
      ),
    ).toEqual([
      ["z", 4],
      ["é", Number.MAX_SAFE_INTEGER],
      ["\u{1F600}", 4],
      [null, null],
    ]);
  });
});

test("a sum of ints beyond 64 bits is rejected instead of rounded", () => {
  using database = new Database(":memory:");
  database.run(`CREATE TABLE "AggregateProbe" (id TEXT, n INTEGER, x REAL, at TEXT, tag TEXT)`);
  database.run(
    `INSERT INTO "AggregateProbe" (n)
       WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2048)
       SELECT 9007199254740991 FROM c`,
  );
  const { text } = compileAggregate(
    { entity: shape.name, groupBy: [], measures: [{ fn: "sum", field: "n", as: "sum" }] },
    schema,
    sqlite,
  );
  expect(() => database.prepare(text).get()).toThrow("integer overflow");
});
