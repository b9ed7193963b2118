import { MAX_GRAPH_ROWS, MAX_INCLUDES, PylonError } from "@pylonsync/protocol";
import { compilePredicate, parseFilter, QueryError, sortRows } from "@pylonsync/query";
import { buildManifest, entity, field, relation } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import type { Reader, StoredRow } from "../store/store.ts";
import { ReadLog } from "./read-log.ts";
import { Reads } from "./reads.ts";
import { openAppData, user, type AppData } from "./testing/app-data.ts";
import {
  loadTeam,
  team,
  TEAM_RELATIONS,
  teamReadable,
  teamReaders,
  teamRows,
  type TeamEntity,
  type TeamRows,
} from "./testing/team-world.ts";

interface Options {
  readonly where?: Readonly<Record<string, unknown>>;
  readonly order?: Readonly<Record<string, "asc" | "desc">>;
  readonly limit?: number;
  readonly include?: Included;
}
type Included = { readonly [relation: string]: true | Options | undefined };

const FILTERS: Readonly<Record<TeamEntity, readonly Readonly<Record<string, unknown>>[]>> = {
  User: [{}, { name: "a" }, { channels: {} }, { channels: null }],
  Channel: [{}, { open: true }, { $not: { rank: 1 } }, { people: { name: "a" } }],
  Member: [{}, { isSecret: false }],
  Message: [{}, { n: { $gte: 0 } }, { $or: [{ text: "a" }, { n: null }] }],
};
const ORDERS: Readonly<Record<TeamEntity, readonly Options["order"][]>> = {
  User: [undefined, { name: "desc" }],
  Channel: [undefined, { rank: "asc" }, { open: "desc", id: "desc" }],
  Member: [undefined, { isSecret: "asc" }],
  Message: [undefined, { n: "desc" }, { text: "asc", n: "asc" }],
};

/** Options of an include of an entity. */
function optionsOf(entity: TeamEntity, isMany: boolean, depth: number): fc.Arbitrary<Options> {
  return fc.record(
    {
      where: fc.constantFrom(...FILTERS[entity]),
      order: fc.constantFrom(...ORDERS[entity]),
      ...(isMany ? { limit: fc.integer({ min: 1, max: 3 }) } : {}),
      ...(depth === 0 ? {} : { include: includesOf(entity, depth) }),
    },
    { requiredKeys: [] },
  );
}

function includesOf(entity: TeamEntity, depth: number): fc.Arbitrary<Included> {
  const parts = Object.entries(TEAM_RELATIONS[entity]).map(
    ([name, { target, isMany }]): [string, fc.Arbitrary<true | Options>] => [
      name,
      fc.oneof(fc.constant(true as const), optionsOf(target, isMany, depth - 1)),
    ],
  );
  return fc.record(Object.fromEntries(parts), { requiredKeys: [] });
}

/** The related rows of a row, among those that may be read. */
function relatedTo(row: StoredRow, entity: TeamEntity, name: string, rows: TeamRows): StoredRow[] {
  const relation = TEAM_RELATIONS[entity][name];
  if (relation === undefined) throw new Error(name);
  const { target, own, theirs, through } = relation;
  if (through === undefined)
    return rows[target].filter((other) => row[own] !== null && other[theirs] === row[own]);
  const ids = rows[through.entity]
    .filter((between) => between[through.from] === row.id)
    .map((between) => between[through.to]);
  return rows[target].filter(({ id }) => ids.includes(id));
}

/** The response according to docs/queries.md, computed by scanning all rows that may be read. */
function answer(
  found: readonly StoredRow[],
  entity: TeamEntity,
  { where = {}, order, limit, include = {} }: Options,
  rows: TeamRows,
): unknown[] {
  const { channels, people, ...plain } = where;
  const parsed = parseFilter({ ...plain, ...(order && { $order: order }) });
  const matches = compilePredicate(parsed.where);
  const isMet = (row: StoredRow): boolean => {
    const isRelated = (name: string, asked: unknown): boolean => {
      const related = relatedTo(row, entity, name, rows);
      return asked === null
        ? related.length === 0
        : related.some((one) => compilePredicate(parseFilter(asked).where)({ data: one }));
    };
    return (
      matches({ data: row }) &&
      (channels === undefined || isRelated("channels", channels)) &&
      (people === undefined || isRelated("people", people))
    );
  };
  return sortRows(found.filter(isMet), parsed.order)
    .slice(0, limit)
    .map((row) => ({
      ...row,
      ...Object.fromEntries(
        Object.entries(include).map(([name, asked = {}]) => {
          const { target, isMany } = TEAM_RELATIONS[entity][name] ?? { target: entity };
          const options = asked === true ? {} : asked;
          const related = answer(relatedTo(row, entity, name, rows), target, options, rows);
          return [name, isMany === true ? related : (related[0] ?? null)];
        }),
      ),
    }));
}

const asked = fc
  .constantFrom<TeamEntity[]>("User", "Channel", "Member", "Message")
  .chain((entity) =>
    fc.record({ entity: fc.constant(entity), options: optionsOf(entity, true, 3) }),
  )
  .filter(({ options }) => levels(options.include) <= MAX_INCLUDES);

/** Counts the statements that are run. */
function counting(reader: Reader): { readonly reader: Reader; readonly count: () => number } {
  let count = 0;
  const counted: Reader = {
    get: (name, id) => reader.get(name, id),
    select: (query) => {
      count += 1;
      return reader.select(query);
    },
    search: (query) => reader.search(query),
    count: (name, where) => reader.count(name, where),
    aggregate: (spec) => reader.aggregate(spec),
    test: (expr) => reader.test(expr),
  };
  return { reader: counted, count: () => count };
}

function levels(include: Included = {}): number {
  return Object.values(include).reduce<number>(
    (sum, one) => sum + 1 + (one === true ? 0 : levels(one?.include)),
    0,
  );
}

for (const database of ["sqlite", "postgres"] as const) {
  let app: AppData;
  beforeAll(async () => {
    app = await openAppData(team, { database });
  });
  afterAll(() => app[Symbol.asyncDispose]());

  test(`${database}: includes equal a scan of all rows, with one read per level`, async () => {
    await fc.assert(
      fc.asyncProperty(teamRows, teamReaders, asked, async (rows, caller, { entity, options }) => {
        await loadTeam(app, rows);
        const readable = teamReadable(rows, caller);
        const expected = answer(readable[entity], entity, options, readable);
        const { where = {}, order, limit, include = {} } = options;
        const { reader, count } = counting(app.store);
        const reads = new Reads(reader, app.model, {
          caller: caller ?? user("nobody"),
          policies: caller === undefined ? "bypassed" : "enforced",
          now: app.platform.now(),
          monotonic: app.platform.monotonic,
        });
        const filter = {
          ...where,
          ...(order && { $order: order }),
          ...(limit === undefined ? {} : { $limit: limit }),
          $include: include,
        };
        expect(await reads.query(entity, filter)).toEqual(expected as never);
        expect(count()).toBeLessThanOrEqual(1 + levels(include));
        expect(await reads.queryGraph({ [entity]: options })).toEqual({
          [entity]: expected,
        } as never);
        const page = await reads.paginate(entity, { where, order, limit: limit ?? 50, include });
        expect(page.page).toEqual(expected as never);
      }),
      { numRuns: database === "sqlite" ? 400 : 60 },
    );
  }, 60_000);
}

async function refusal(include: unknown): Promise<unknown> {
  await using app = await openAppData(team);
  return app
    .reads(user("ann"))
    .query("Message", { $include: include })
    .then(
      () => "accepted",
      (error: unknown) =>
        error instanceof QueryError || error instanceof PylonError
          ? [error.code, error.field]
          : error,
    );
}

test("an invalid include is rejected with its place", async () => {
  const at = (place: string, code = "INVALID_QUERY") => [code, `$include${place}`];
  expect(await refusal([])).toEqual(at(""));
  expect(await refusal({ autor: true })).toEqual(at(".autor", "RELATION_NOT_FOUND"));
  expect(await refusal({ author: false })).toEqual(at(".author"));
  expect(await refusal({ author: { limit: 2 } })).toEqual(at(".author.limit"));
  expect(await refusal({ author: { wher: {} } })).toEqual(at(".author.wher"));
  const below = (options: unknown) => ({ author: { include: { messages: options } } });
  const inner = ".author.include.messages";
  expect(await refusal(below({ limit: 0 }))).toEqual(at(`${inner}.limit`));
  expect(await refusal(below({ where: { $limit: 1 } }))).toEqual(at(`${inner}.where.$limit`));
  expect(await refusal(below({ where: { tetx: 1 } }))).toEqual(
    at(`${inner}.where.tetx`, "INVALID_COLUMN"),
  );
  expect(await refusal(below({ order: { tetx: "asc" } }))).toEqual(
    at(`${inner}.order.tetx`, "INVALID_COLUMN"),
  );
  expect(await refusal({ author: { where: { pin: "secret" } } })).toEqual(
    at(".author.where.pin", "INVALID_COLUMN"),
  );
});

test("an include is bounded: levels, relations, rows of a response", async () => {
  const deep = (levels: number): unknown =>
    levels === 0 ? true : { include: { author: { include: { messages: deep(levels - 1) } } } };
  expect(await refusal({ author: { include: { messages: deep(1) } } })).toBe("accepted");
  expect(await refusal({ author: { include: { messages: deep(2) } } })).toEqual([
    "INVALID_QUERY",
    "$include.author.include.messages.include.author.include.messages.include",
  ]);
  await using app = await openAppData(
    buildManifest({
      name: "bounds",
      version: "1.0.0",
      access: "public",
      entities: [
        entity(
          "Leaf",
          { rootId: field.id("Leaf") },
          {
            relations: [
              relation({ name: "root", target: "Leaf", field: "rootId" }),
              relation({ name: "again", target: "Leaf", field: "rootId" }),
            ],
          },
        ),
      ],
    }),
  );
  const count = MAX_GRAPH_ROWS / 10;
  await app.store.transact(async (tx) => {
    for (let n = 0; n < count; n += 1) await tx.insert("Leaf", { id: `l${n}`, rootId: "l0" });
  });
  const full = (depth: number): object =>
    depth === 0 ? {} : { root: { include: full(depth - 1) }, again: { include: full(depth - 1) } };
  const reads = app.reads(user("ann"));
  const codeOf = (include: unknown): Promise<unknown> =>
    reads.query("Leaf", { $include: include }).then(
      (rows) => rows.length,
      (error: PylonError) => error.code,
    );
  // Each row appears with 2 and with 6 others, some of them many times; the statements read two
  // rows.
  expect(await codeOf(full(1))).toBe(count);
  expect(await codeOf(full(2))).toBe(count);
  expect(await codeOf(full(3))).toBe("RESULT_TOO_LARGE");
  expect(await app.reads().query("Leaf", { $include: full(3) })).toHaveLength(count);
  expect([2 + 4 + 8 <= MAX_INCLUDES, 2 + 4 + 8 + 16 > MAX_INCLUDES]).toEqual([true, true]);
  expect(await codeOf(full(4))).toBe("INVALID_QUERY");
});

test("a live function that includes is invalidated by all rows that it looked at", async () => {
  await using app = await openAppData(team);
  const log = new ReadLog();
  const reads = new Reads(log.watch(app.store), app.model, {
    caller: user("ann"),
    policies: "bypassed",
    now: app.platform.now(),
    monotonic: app.platform.monotonic,
  });
  await loadTeam(app, {
    User: [{ id: "u", name: "a", pin: "p" }],
    Channel: [{ id: "c", open: true, rank: 1 }],
    Member: [{ id: "m", channelId: "c", userId: "u", isSecret: false }],
    Message: [{ id: "x", text: "a", n: 1, channelId: "c", authorId: "u" }],
  });
  await reads.query("Channel", { $include: { people: { include: { messages: { limit: 1 } } } } });
  const entities = new Set(log.reads.map((read) => read.entity));
  expect([...entities].toSorted()).toEqual(["Channel", "Member", "Message", "User"]);
  log.clear();
  await reads.query("Channel", { people: { name: "a" } });
  const filtered = new Set(log.reads.map((read) => read.entity));
  expect([...filtered].toSorted()).toEqual(["Channel", "Member", "User"]);
});
