import { Database } from "bun:sqlite";
import { afterAll, expect, test } from "bun:test";
import {
  bind,
  compareValues,
  compilePredicate,
  isScalarKind,
  hasExists,
  parseFilter,
  path,
  sortRows,
  type Env,
  type EntityShape,
  type FieldKind,
  type Order,
} from "@pylonsync/query";
import fc from "fast-check";
import { Client } from "pg";
import {
  createDatabase,
  sharedPostgresUrl,
} from "../../../../../tests/support/servers/postgres.ts";
import { encode as toPostgres, VALUE_PARSERS } from "../postgres/codec.ts";
import { encode, encodeOne } from "../sqlite/codec.ts";
import {
  callers,
  conditions,
  filters,
  needles,
  times,
  worlds,
  type World,
} from "./agreement.arbitraries.ts";
import {
  compileCount,
  compileDelete,
  compileSelect,
  compileTest,
  postgres,
  sqlite,
} from "./index.ts";
import { holds, sizeOf } from "./naive-evaluator.ts";
import type { Sql } from "./compile-where.ts";

/** A database that contains one world at a time. */
interface Engine {
  readonly name: string;
  readonly dialect: typeof sqlite;
  readonly runs: number;
  load(world: World): Promise<void>;
  all(sql: Sql): Promise<Record<string, unknown>[]>;
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const SQLITE_TYPES: Record<FieldKind, string> = {
  string: "TEXT",
  richtext: "TEXT",
  id: "TEXT",
  datetime: "TEXT",
  int: "INTEGER",
  bool: "INTEGER",
  float: "REAL",
  decimal: "TEXT",
  json: "TEXT",
  array: "TEXT",
  encrypted: "TEXT",
};
const POSTGRES_TYPES: Record<FieldKind, string> = {
  string: 'TEXT COLLATE "C"',
  richtext: 'TEXT COLLATE "C"',
  id: 'TEXT COLLATE "C"',
  datetime: "TIMESTAMPTZ",
  int: "BIGINT",
  bool: "BOOLEAN",
  float: "DOUBLE PRECISION",
  decimal: "NUMERIC",
  json: "JSON",
  array: "JSON",
  encrypted: "TEXT",
};

function tableOf({ name, fields }: EntityShape, types: Record<FieldKind, string>): string {
  const columns = [...fields].map(([field, kind]) => `${quote(field)} ${types[kind]}`);
  return `CREATE TABLE ${quote(name)} (${columns.join(", ")})`;
}

function sqliteEngine(): Engine {
  let database = new Database(":memory:");
  return {
    name: "SQLite",
    dialect: sqlite,
    runs: 400,
    async load({ schema, rows }) {
      database.close();
      database = new Database(":memory:");
      for (const shape of schema.values()) {
        database.run(`${tableOf(shape, SQLITE_TYPES)} STRICT`);
        const kinds = [...shape.fields];
        const insert = database.prepare(
          `INSERT INTO ${quote(shape.name)} VALUES (${kinds.map(() => "?").join(", ")})`,
        );
        for (const row of rows.get(shape.name) ?? [])
          insert.run(...kinds.map(([name, kind]) => encodeOne(kind, row[name] ?? null)));
        insert.finalize();
      }
    },
    async all({ text, params }) {
      return database
        .prepare<Record<string, unknown>, (string | number | null)[]>(text)
        .all(...params.map(encode));
    },
  };
}

/**
 * The worlds have different columns with the same names, so prepared statements must not be kept.
 */
const connection = new Client({ connectionString: await createDatabase(sharedPostgresUrl()) });
await connection.connect();
afterAll(() => connection.end());

function postgresEngine(database: Client): Engine {
  return {
    name: "Postgres",
    dialect: postgres,
    runs: 150,
    async load({ schema, rows }) {
      for (const shape of schema.values()) {
        await database.query(`DROP TABLE IF EXISTS ${quote(shape.name)}`);
        await database.query(tableOf(shape, POSTGRES_TYPES));
        const names = [...shape.fields.keys()];
        const marks = names.map((_, index) => `$${index + 1}`).join(", ");
        const insert = `INSERT INTO ${quote(shape.name)} VALUES (${marks})`;
        for (const row of rows.get(shape.name) ?? [])
          await database.query(
            insert,
            names.map((name) => toPostgres(row[name] ?? null)),
          );
      }
    },
    all: async ({ text, params }) =>
      (
        await database.query<Record<string, unknown>>({
          text,
          values: params,
          types: VALUE_PARSERS,
        })
      ).rows,
  };
}

const engines = [sqliteEngine(), postgresEngine(connection)];
const words = fc
  .array(fc.oneof(needles, fc.constantFrom("lorem", "Ärger", "ДОМ")), { maxLength: 4 })
  .map((parts) => parts.join(""));

/** Letters in their other case, if that is a single letter. */
function otherCase(text: string): string {
  return Array.from(text, (letter) => {
    const other = letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase();
    return Array.from(other).length === 1 ? other : letter;
  }).join("");
}
const ids = (rows: readonly Record<string, unknown>[]): unknown[] => rows.map((row) => row["id"]);
const alphaRows = (world: World) => world.rows.get("Alpha") ?? [];

function shapeOf(world: World): EntityShape {
  const shape = world.schema.get("Alpha");
  if (shape === undefined) throw new Error("Every world has Alpha.");
  return shape;
}

/** The world, a condition, the caller, the time, and the old row. */
const questionsWith = (existsDepth: number) =>
  worlds.chain((world) =>
    fc.record({
      world: fc.constant(world),
      expr: conditions(world.schema, existsDepth),
      auth: callers,
      now: times,
      old: alphaRows(world).length === 0 ? fc.constant({}) : fc.constantFrom(...alphaRows(world)),
    }),
  );
const questions = questionsWith(2);
/**
 * Conditions on the row alone: a predicate can evaluate them, and the result does not change while
 * rows are deleted.
 */
const rowQuestions = questionsWith(0);

for (const engine of engines) {
  const { dialect, runs } = engine;

  test(`${engine.name} selects, counts and tests exactly what the tree means`, async () => {
    await fc.assert(
      fc.asyncProperty(questions, async ({ world, expr, auth, now, old }) => {
        await engine.load(world);
        const where = bind(expr, { auth, now, old });
        const expected = alphaRows(world).filter((data) =>
          holds(expr, { data, auth, now, old }, world.rows),
        );
        expect(
          ids(await engine.all(compileSelect({ entity: "Alpha", where }, world.schema, dialect))),
        ).toEqual(ids(sortRows(expected, [])));
        expect(
          Number(
            (await engine.all(compileCount("Alpha", where, world.schema, dialect)))[0]?.["count"],
          ),
        ).toBe(expected.length);
        for (const data of alphaRows(world).slice(0, 2)) {
          const truth = await engine.all(
            compileTest(bind(expr, { auth, now, old, data }), world.schema, dialect),
          );
          expect(truth[0]?.["truth"] === 1).toBe(expected.includes(data));
        }
      }),
      { numRuns: runs },
    );
  }, 60_000);

  test(`${engine.name} deletes exactly what it would select`, async () => {
    await fc.assert(
      fc.asyncProperty(rowQuestions, async ({ world, expr, auth, now, old }) => {
        await engine.load(world);
        await engine.all(
          compileDelete("Alpha", bind(expr, { auth, now, old }), world.schema, dialect),
        );
        const kept = alphaRows(world).filter(
          (data) => !holds(expr, { data, auth, now, old }, world.rows),
        );
        expect(
          ids(await engine.all(compileSelect({ entity: "Alpha" }, world.schema, dialect))),
        ).toEqual(ids(sortRows(kept, [])));
      }),
      { numRuns: Math.floor(runs / 4) },
    );
  }, 60_000);

  test(`${engine.name} evaluates a filter, its order and its page like the client`, async () => {
    const cases = worlds.chain((world) => {
      const order = fc.array(
        fc.tuple(
          fc.constantFrom(...orderedFields(shapeOf(world))),
          fc.constantFrom("asc", "desc", "DESC"),
        ),
        { maxLength: 3 },
      );
      return fc.record({
        world: fc.constant(world),
        filter: filters(shapeOf(world)),
        order,
        limit: fc.option(fc.nat(4), { nil: undefined }),
        offset: fc.option(fc.nat(3), { nil: undefined }),
      });
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ world, filter, order, limit, offset }) => {
        await engine.load(world);
        const parsed = parseFilter(
          {
            ...filter,
            $order: order,
            ...(limit === undefined ? {} : { $limit: limit }),
            ...(offset === undefined ? {} : { $offset: offset }),
          },
          shapeOf(world),
        );
        const keeps = compilePredicate(parsed.where);
        const start = parsed.offset ?? 0;
        const sorted = naivelySorted(
          alphaRows(world).filter((data) => keeps({ data })),
          parsed.order,
        );
        const expected = sorted.slice(start, limit === undefined ? undefined : start + limit);
        expect(ids(sortRows(sorted.toReversed(), parsed.order))).toEqual(ids(sorted));
        expect(
          ids(
            await engine.all(
              compileSelect(
                { ...parsed, entity: "Alpha", search: undefined },
                world.schema,
                dialect,
              ),
            ),
          ),
        ).toEqual(ids(expected));
      }),
      { numRuns: runs },
    );
  }, 60_000);
}

/** One table of texts. */
const texts: EntityShape = {
  name: "Alpha",
  fields: new Map([
    ["id", "id"],
    ["text", "string"],
  ]),
};

function textWorld(values: readonly string[]): World {
  const rows = values.map((text, index) => ({ id: `r${index}`, text }));
  return { schema: new Map([["Alpha", texts]]), rows: new Map([["Alpha", rows]]) };
}

for (const engine of engines) {
  const found = async (world: World, filter: unknown): Promise<unknown[]> => {
    const { where } = parseFilter(filter, texts);
    return ids(
      await engine.all(compileSelect({ entity: "Alpha", where }, world.schema, engine.dialect)),
    );
  };

  test(`${engine.name} finds a part of a text in any case, and nothing else`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(words, { minLength: 1, maxLength: 6 }),
        words,
        async (all, part) => {
          const world = textWorld(all);
          await engine.load(world);
          // A part of each text, in the other case.
          const swapped = all.map((text) => otherCase(Array.from(text).slice(1, 4).join("")));
          for (const asked of [part, ...swapped]) {
            const expr = {
              kind: "containsFolded",
              text: path("data", "text"),
              part: asked,
            } as const;
            expect([asked, await found(world, { text: { $ilike: asked } })]).toEqual([
              asked,
              ids(alphaRows(world).filter((data) => holds(expr, { data }, world.rows))),
            ]);
          }
        },
      ),
      { numRuns: Math.floor(engine.runs / 3) },
    );
  }, 60_000);

  test(`${engine.name} accepts the longest text of a case-insensitive search`, async () => {
    const long = "ΐkſ[*".repeat(200);
    const world = textWorld([`-${long}-`, long.slice(1)]);
    await engine.load(world);
    expect(await found(world, { text: { $ilike: otherCase(long) } })).toEqual(["r0"]);
    expect(await found(world, { text: { $endsWith: `${long.slice(1)}-` } })).toEqual(["r0"]);
  });
}

test("the compiled predicate agrees with the naive evaluation of the tree", () => {
  fc.assert(
    fc.property(rowQuestions, ({ world, expr, auth, now, old }) => {
      const keeps = compilePredicate(expr);
      for (const data of alphaRows(world))
        expect(keeps({ data, auth, now, old })).toBe(
          holds(expr, { data, auth, now, old }, world.rows),
        );
    }),
    { numRuns: 400 },
  );
});

test("binding any part of the environment first changes nothing", () => {
  const split = fc.tuple(questions, fc.subarray(["data", "auth", "now", "old"] as const));
  fc.assert(
    fc.property(split, ([{ world, expr, auth, now, old }, first]) => {
      for (const data of alphaRows(world)) {
        const whole: Env = { data, auth, now, old };
        const part = bind(expr, Object.fromEntries(first.map((root) => [root, whole[root]])));
        const expected = holds(expr, whole, world.rows);
        expect(holds(part, whole, world.rows)).toBe(expected);
        const bound = bind(part, whole);
        expect(holds(bound, {}, world.rows)).toBe(expected);
        if (!hasExists(expr)) expect(bound).toEqual({ kind: "literal", value: expected });
      }
    }),
    { numRuns: 400 },
  );
});

test("input of callers is in the parameters, never in the text", () => {
  const canary = `x'"; DROP TABLE "Alpha" --`;
  const shape: EntityShape = {
    name: "Alpha",
    fields: new Map([
      ["id", "id"],
      ["title", "string"],
    ]),
  };
  const { where } = parseFilter(
    {
      title: {
        $like: canary,
        $ilike: canary,
        $ne: canary,
        $in: [canary],
        $startsWith: canary,
        $endsWith: canary,
        $gt: canary,
      },
      $not: { id: canary },
    },
    shape,
  );
  for (const dialect of [sqlite, postgres]) {
    const { text, params } = compileSelect(
      { entity: "Alpha", where, limit: 7 },
      new Map([["Alpha", shape]]),
      dialect,
    );
    expect(text).not.toContain("DROP");
    expect(params.filter((param) => param === canary).length).toBeGreaterThanOrEqual(6);
  }
});

test("a name that is not in the schema is rejected, instead of quoted into the text", () => {
  const schema = new Map([
    ["Alpha", { name: "Alpha", fields: new Map<string, FieldKind>([["id", "id"]]) }],
  ]);
  expect(() => compileSelect({ entity: "Gamma" }, schema, sqlite)).toThrow("Gamma");
  expect(() =>
    compileSelect(
      { entity: "Alpha", order: [{ field: "__proto__", direction: "asc" }] },
      schema,
      sqlite,
    ),
  ).toThrow("__proto__");
  expect(() =>
    compileSelect(
      { entity: "Alpha", where: { kind: "path", root: "data", name: "constructor" } },
      schema,
      sqlite,
    ),
  ).toThrow("constructor");
  expect(() =>
    compileCount(
      "Alpha",
      { kind: "exists", entity: "sqlite_master", where: { kind: "literal", value: true } },
      schema,
      sqlite,
    ),
  ).toThrow("sqlite_master");
});

test("lists of different lengths share a statement, and an equality keeps its index", () => {
  const shape: EntityShape = {
    name: "Alpha",
    fields: new Map([
      ["id", "id"],
      ["title", "string"],
    ]),
  };
  const schema = new Map([["Alpha", shape]]);
  const textOf = (filter: unknown): string =>
    compileSelect({ entity: "Alpha", where: parseFilter(filter, shape).where }, schema, sqlite)
      .text;
  expect(textOf({ title: { $in: ["a", "b", "c"] } })).toBe(
    textOf({ title: { $in: ["w", "x", "y", "z"] } }),
  );
  const database = new Database(":memory:");
  database.run("CREATE TABLE Alpha (id TEXT PRIMARY KEY, title TEXT)");
  database.run("CREATE INDEX by_title ON Alpha (title)");
  const plan = (filter: unknown): string =>
    JSON.stringify(database.prepare(`EXPLAIN QUERY PLAN ${textOf(filter)}`).all());
  expect(plan({ title: "a" })).toContain("SEARCH t USING INDEX by_title (title=?)");
  expect(plan({ title: { $in: ["a", "b"] } })).toContain("SEARCH t USING INDEX by_title");
  database.close();
});

function naivelySorted<R extends { readonly id: string }>(
  rows: readonly R[],
  order: readonly Order[],
): R[] {
  const bytes = (a: unknown, b: unknown): number =>
    typeof a === "string" && typeof b === "string"
      ? Buffer.compare(Buffer.from(a), Buffer.from(b))
      : compareValues(a, b);
  return rows.toSorted((a, b) => {
    for (const { field, direction, isDecimal } of order) {
      const [x, y] = [
        (a as Record<string, unknown>)[field] ?? null,
        (b as Record<string, unknown>)[field] ?? null,
      ];
      const result =
        x === null || y === null
          ? Number(x === null) - Number(y === null)
          : isDecimal === true
            ? Number(sizeOf(x) - sizeOf(y))
            : bytes(x, y);
      if (result !== 0) return direction === "asc" ? result : -result;
    }
    return bytes(a.id, b.id);
  });
}

function orderedFields({ fields }: EntityShape): string[] {
  return [...fields].filter(([, kind]) => isScalarKind(kind)).map(([name]) => name);
}
