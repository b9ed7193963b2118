// A filter has the same meaning in a request and in a live query.
import { afterEach, expect, test } from "bun:test";
import { isPullResponse, type PullResponse, type Row } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import {
  createSyncEngine,
  createWriteThroughStorage,
  systemPlatform,
  type Platform,
  type QueryOptions,
  type SyncEngine,
} from "@pylonsync/sync";
import fc from "fast-check";
import { TestClient, until } from "../support/client.ts";
import { useFakeIndexedDb } from "../support/fake-indexed-db.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const Thing = entity("Thing", {
  text: field.string().optional(),
  long: field.richtext().optional(),
  whole: field.int().optional(),
  part: field.float().optional(),
  cost: field.decimal(24, 6).optional(),
  yes: field.bool().optional(),
  at: field.datetime().optional(),
  tags: field.array(field.string()).optional(),
  counts: field.array(field.int()).optional(),
  times: field.array(field.datetime()).optional(),
  meta: field.json().optional(),
  other: field.id("Thing").optional(),
});
const Secret = entity("Secret", { text: field.string() });
const User = entity("User", { email: field.string(), plan: field.string().optional() });
const app = appOf(
  buildManifest({
    name: "live-values",
    version: "1.0.0",
    entities: [Thing, Secret, User],
    auth: { user: { hide: ["plan"] } },
    policies: [
      policy({ name: "things", entity: "Thing", allow: "true" }),
      policy({ name: "secrets", entity: "Secret", allow: "auth.isAdmin" }),
      policy({ name: "users", entity: "User", allowRead: "true", allowWrite: "false" }),
    ],
  }),
);

useFakeIndexedDb();

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function serve(): Promise<{ server: TestServer; client: TestClient }> {
  const server = await startServer(app);
  cleanups.push(() => server.stop());
  return { server, client: await TestClient.guest(server.url) };
}

interface ConnectOptions {
  readonly platform?: Partial<Platform>;
  /** If absent, nothing is persisted. */
  readonly appName?: string;
}

function connect({ url, token }: TestClient, options: ConnectOptions = {}): SyncEngine {
  const engine = createSyncEngine(url, {
    reconnectDelay: 30,
    token: token ?? "",
    storage: createWriteThroughStorage({}, () => undefined),
    persist: options.appName !== undefined,
    ...options,
  });
  cleanups.push(() => engine.stop());
  engine.start();
  return engine;
}

const idsOf = (engine: SyncEngine, where: QueryOptions["where"]): string[] =>
  engine
    .query("Thing", { where })
    .getSnapshot()
    .map(({ id }) => String(id));

const TEXTS = ["", "a", "A", "milk", "é", "2026-01-05T00:00:00Z", "\u{1F600}", "10"];
const NUMBERS = [-1, 0, 1, 2, 10, 2 ** 40];
const FRACTIONS = [-1.5, 0, 0.1, 1, 2.5, 1e21];
const DATES = [
  "2026-01-05",
  "2026-01-05T00:00:00Z",
  "2026-01-05T01:00:00.000+01:00",
  "2026-01-04T22:00:00-02:00",
  "2026-01-05T00:00:00.001Z",
  "2026-01-06 12:00:00",
  "1999-12-31T23:59:59.999Z",
];
const IDS = ["t0", "t1", "t2", "nobody"];
const WRONG: readonly unknown[] = ["2026-02-30", "soon", 5, true, {}, [1]];

const POOLS: Readonly<Record<string, readonly unknown[]>> = {
  text: TEXTS,
  long: TEXTS,
  whole: NUMBERS,
  part: FRACTIONS,
  cost: ["10", "9", "-1.50", 0.5, "12.000001", 10],
  yes: [true, false],
  at: DATES,
  other: IDS,
  counts: [[], [1], [2, 10]],
  times: [[], ["2026-01-05"], ["2026-01-05T01:00:00.000+01:00", "2026-01-06T12:00:00Z"]],
  tags: [[], ["a"], ["a", "milk"], ["10", "\u{1F600}"]],
  meta: [{ a: "milk" }, { a: 10, b: { c: true } }, { a: ["milk", 10], b: [] }, []],
  id: IDS,
};

/** Rows with every value of the pools, and nulls. */
function rows(): Record<string, unknown>[] {
  return Array.from({ length: 24 }, (_, n) => ({
    id: `t${n}`,
    ...Object.fromEntries(
      Object.entries(POOLS)
        .filter(([name]) => name !== "id")
        .map(([name, pool], column) => [
          name,
          (n + column) % 7 === 0 ? null : pool[(n * (column + 1)) % pool.length],
        ]),
    ),
  }));
}

const inner = fc.constantFrom<unknown[]>("milk", "10", 10, true, null, "2026-01-05");
const LISTS = ["tags", "counts", "times", "meta", "meta.a", "text"];
/** Conditions on the items of lists, and on values inside a json field. */
const nested = fc.oneof(
  fc
    .tuple(fc.constantFrom(...LISTS), fc.array(inner, { maxLength: 2 }))
    .map(([name, items]) => ({ [name]: { $hasAny: items } })),
  fc
    .tuple(
      fc.constantFrom("meta.a", "meta.b.c", "meta.b", "meta.nothing", "text.a"),
      fc.constantFrom("$eq", "$ne", "$gte", "$has", "$like"),
      inner,
    )
    .map(([name, operator, operand]) => ({ [name]: { [operator]: operand } })),
);
const SCALARS = Object.keys(POOLS).filter((name) => !LISTS.includes(name) || name === "text");

const plain = fc.constantFrom(...SCALARS).chain((name) => {
  const value = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...(POOLS[name] ?? [])) },
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constantFrom(...WRONG) },
  );
  const compared = fc
    .tuple(fc.constantFrom("$eq", "$ne", "$not", "$gt", "$gte", "$lt", "$lte"), value)
    .map(([operator, operand]) => ({ [operator]: operand }));
  const listed = fc
    .tuple(fc.constantFrom("$in", "$nin"), fc.array(value, { maxLength: 4 }))
    .map(([operator, operand]) => ({ [operator]: operand }));
  const text = fc
    .tuple(fc.constantFrom("$like", "$startsWith"), fc.constantFrom("", "m", "il", "A", "2026"))
    .map(([operator, operand]) => ({ [operator]: operand }));
  const exists = fc.boolean().map((is) => ({ $exists: is }));
  return fc.oneof(
    value.map((operand) => ({ [name]: operand })),
    fc
      .oneof({ weight: 4, arbitrary: compared }, { weight: 2, arbitrary: listed }, text, exists)
      .map((operators) => ({ [name]: operators })),
  );
});
const condition = fc.oneof({ weight: 4, arbitrary: plain }, { weight: 1, arbitrary: nested });
const where = fc.oneof(
  { weight: 3, arbitrary: condition },
  { weight: 1, arbitrary: fc.array(condition, { maxLength: 3 }).map((parts) => ({ $or: parts })) },
  { weight: 1, arbitrary: fc.array(condition, { maxLength: 3 }).map((parts) => ({ $and: parts })) },
  { weight: 1, arbitrary: condition.map((part) => ({ $not: part })) },
);
const filter = fc.record(
  {
    where,
    orderBy: fc
      .tuple(fc.constantFrom(...SCALARS), fc.constantFrom("asc" as const, "desc" as const))
      .map(([name, direction]) => ({ [name]: direction })),
    limit: fc.nat({ max: 30 }),
    offset: fc.nat({ max: 5 }),
  },
  { requiredKeys: ["where"] },
);

test("Q1: a filter gives the same rows in a request and live, or an error in both", async () => {
  const { client } = await serve();
  for (const row of rows()) await client.insert("Thing", row);
  const engine = connect(client);
  await until(() => engine.status.ready);
  let refused = 0;
  let found = 0;
  await fc.assert(
    fc.asyncProperty(filter, async ({ where: conditions, orderBy, limit, offset }) => {
      const page = offset === undefined ? conditions : { ...conditions, $offset: offset };
      const answer = await client.request("POST", "/api/query/Thing", {
        ...page,
        ...(orderBy === undefined ? {} : { $order: orderBy }),
        ...(limit === undefined ? {} : { $limit: limit }),
      });
      const evaluate = (): readonly unknown[] =>
        engine.query("Thing", { where: page, orderBy, limit }).getSnapshot();
      if (answer.status === 400) {
        refused += 1;
        expect(evaluate).toThrow();
        return;
      }
      expect(answer.status).toBe(200);
      const expected = answer.body as unknown as { id: string }[];
      found += expected.length;
      expect(evaluate().map((row) => (row as { id: string }).id)).toEqual(
        expected.map(({ id }) => id),
      );
    }),
    { numRuns: 400 },
  );
  // Make sure that it compared something: not all filters were rejected or empty.
  expect(refused).toBeGreaterThan(10);
  expect(found).toBeGreaterThan(500);
});

const MOMENT = "2026-01-05T00:00:00.000Z";
/** All ways to write the same point in time. */
const SAME_MOMENT: readonly unknown[] = [
  MOMENT,
  "2026-01-05",
  "2026-01-05T00:00:00Z",
  "2026-01-05T02:00:00+02:00",
  "2026-01-04T19:00:00-05:00",
  new Date(MOMENT),
];

test("Q1: a live query finds a row by its time however the time is written", async () => {
  const { client } = await serve();
  await client.insert("Thing", { id: "t", at: "2026-01-05" });
  await client.insert("Thing", { id: "later", at: "2026-01-05T00:00:00.001Z" });
  const engine = connect(client);
  // Created before the field kinds are known.
  const early = engine.query("Thing", { where: { at: "2026-01-05T02:00:00+02:00" } });
  await until(() => engine.status.ready);
  expect(early.getSnapshot()).toMatchObject([{ id: "t" }]);
  for (const moment of SAME_MOMENT) {
    expect(idsOf(engine, { at: moment })).toEqual(["t"]);
    expect(idsOf(engine, { at: { $gte: moment } }).toSorted()).toEqual(["later", "t"]);
    expect(idsOf(engine, { at: { $lte: moment } })).toEqual(["t"]);
    expect(idsOf(engine, { at: { $in: [moment] } })).toEqual(["t"]);
    expect(idsOf(engine, { at: { $ne: moment } })).toEqual(["later"]);
  }
  expect(() => idsOf(engine, { at: "soon" })).toThrow('at is "soon", not an ISO 8601 date');
});

test("Q1: the items of a list are compared by their kind, in a request and live", async () => {
  const { client } = await serve();
  await client.insert("Thing", { id: "t", times: ["2026-01-05"], counts: [2], tags: ["2"] });
  await client.insert("Thing", { id: "none", times: [], counts: [], tags: [] });
  const engine = connect(client);
  await until(() => engine.status.ready);
  const found = async (where: QueryOptions["where"]): Promise<string[]> => {
    const { body } = await client.request("POST", "/api/query/Thing", where);
    expect(idsOf(engine, where)).toEqual((body as unknown as Row[]).map(({ id }) => id));
    return idsOf(engine, where);
  };
  for (const moment of SAME_MOMENT) {
    expect(await found({ times: { $has: moment } })).toEqual(["t"]);
    expect(await found({ times: { $hasAny: ["2001-01-01", moment] } })).toEqual(["t"]);
  }
  expect(await found({ counts: { $has: 2 } })).toEqual(["t"]);
  expect(await found({ tags: { $hasAny: ["2"] } })).toEqual(["t"]);
  const wrong: readonly (readonly [NonNullable<QueryOptions["where"]>, string, string])[] = [
    [{ counts: { $has: "2" } }, "counts.$has", 'is "2", not a finite number'],
    [{ counts: { $hasAny: [2, true] } }, "counts.$hasAny[1]", "is true, not a finite number"],
    [{ tags: { $has: 2 } }, "tags.$has", "is 2, not a string"],
    [{ times: { $has: "soon" } }, "times.$has", 'is "soon", not an ISO 8601 date'],
  ];
  for (const [where, place, reason] of wrong) {
    const { status, body } = await client.request("POST", "/api/query/Thing", where);
    const message = expect.stringContaining(`${place} ${reason}`) as string;
    expect([status, body]).toMatchObject([
      400,
      { error: { code: "INVALID_QUERY", field: place, message } },
    ]);
    expect(() => idsOf(engine, where)).toThrow(`${place} ${reason}`);
  }
});

test("Q1: a pending write has the value that the server will store", async () => {
  const { client } = await serve();
  const engine = connect(client, {
    platform: {
      fetch: (url, init) =>
        url.endsWith("/push")
          ? Promise.reject(new TypeError("no network"))
          : systemPlatform.fetch(url, init),
    },
  });
  await until(() => engine.status.ready);
  await engine.insert("Thing", { id: "text", at: "2026-01-05T02:00:00+02:00" });
  await engine.insert("Thing", { id: "date", at: new Date(MOMENT) });
  await engine.update("Thing", "text", { at: "2026-01-05" });
  expect(engine.store.list("Thing").map(({ at }) => at)).toEqual([MOMENT, MOMENT]);
  expect(idsOf(engine, { at: MOMENT }).toSorted()).toEqual(["date", "text"]);
});

test("Q1: the kinds are stored with the replica, for a start without a network", async () => {
  const { client } = await serve();
  await client.insert("Thing", { id: "t", at: "2026-01-05" });
  const appName = `live-values-${process.env["PYLON_TEST_STORE"] ?? "sqlite"}`;
  const first = connect(client, { appName });
  await until(() => first.connected);
  const disk = await systemPlatform.openDisk?.(appName, client.url);
  if (disk === undefined) throw new Error("There is no disk.");
  cleanups.push(() => disk.close());
  first.stop();
  await until(async () => (await disk.readReplica()) !== null);

  const offline = connect(client, {
    appName,
    platform: { fetch: () => Promise.reject(new TypeError("no network")) },
  });
  await until(() => offline.status.ready);
  expect(offline.status.stale).toBe(true);
  expect(idsOf(offline, { at: "2026-01-05T02:00:00+02:00" })).toEqual(["t"]);
});

test("Q1: without kinds from the server, texts compare as texts, Dates as times", async () => {
  const { client } = await serve();
  await client.insert("Thing", { id: "t", at: "2026-01-05" });
  const engine = connect(client, {
    platform: {
      fetch: async (url, init) => {
        const response = await systemPlatform.fetch(url, init);
        if (!url.includes("/api/sync/pull")) return response;
        const { schema: _untold, ...answer } = (await response.json()) as Record<string, unknown>;
        return Response.json(answer);
      },
    },
  });
  await until(() => engine.status.ready);
  expect(idsOf(engine, { at: "2026-01-05" })).toEqual([]);
  expect(idsOf(engine, { at: MOMENT })).toEqual(["t"]);
  expect(idsOf(engine, { at: { $gte: new Date(MOMENT) } })).toEqual(["t"]);
});

test("Q1: the kinds name only readable fields, once per snapshot", async () => {
  const { client } = await serve();
  await client.insert("Thing", { text: "a" });
  await client.insert("Thing", { text: "b" });
  const pull = async (query: string): Promise<PullResponse> => {
    const { body } = await client.request("GET", `/api/sync/pull?${query}`);
    if (isPullResponse(body)) return body;
    throw new Error("It is not an answer to a pull.");
  };
  const first = await pull("since=0&limit=1");
  expect(first.schema).toEqual({
    Thing: {
      id: "id",
      text: "string",
      long: "richtext",
      whole: "int",
      part: "float",
      cost: "decimal",
      yes: "bool",
      at: "datetime",
      tags: "array",
      "tags[]": "string",
      counts: "array",
      "counts[]": "int",
      times: "array",
      "times[]": "datetime",
      meta: "json",
      other: "id",
    },
    User: { id: "id", email: "string" },
  });
  expect((await pull(`since=0&limit=1&page=${first.next_page}`)).schema).toBeUndefined();
  expect((await pull("since=1")).schema).toBeUndefined();
});

test("Q8: an invalid limit is rejected in a live query", async () => {
  const { client } = await serve();
  const engine = connect(client);
  for (const limit of [-1, 1.5, NaN, Infinity])
    expect(() => engine.query("Thing", { limit })).toThrow(`limit is ${limit}`);
  await client.insert("Thing", { id: "a" });
  await client.insert("Thing", { id: "b" });
  await until(() => engine.store.list("Thing").length === 2);
  expect(engine.query("Thing", { limit: 0 }).getSnapshot()).toEqual([]);
  expect(idsOf(engine, { $limit: 1, $offset: 1 })).toEqual(["b"]);
  expect(() => idsOf(engine, { $search: "a" })).toThrow("$search");
});

test("P4: undefined in the filter of a live query is an error that names the field", async () => {
  const { client } = await serve();
  const engine = connect(client);
  for (const where of [
    { text: undefined },
    { whole: { $gt: undefined } },
    { text: { $in: [undefined] } },
    { $or: [{ text: undefined }] },
  ])
    expect(() => engine.query("Thing", { where })).toThrow("is undefined");
  for (const number of [NaN, Infinity])
    expect(() => engine.query("Thing", { where: { whole: number } })).toThrow(String(number));
});
