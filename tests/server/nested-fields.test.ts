// Fields of type json or array. `PYLON_TEST_STORE=postgres` runs the tests on Postgres.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mutation, query, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { createSyncEngine, createWriteThroughStorage, type SyncEngine } from "@pylonsync/sync";
import fc from "fast-check";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { anyText } from "../support/any-text.ts";

const Doc = entity(
  "Doc",
  {
    n: field.int().default(0),
    meta: field.json().optional(),
    shape: field
      .json(v.object({ w: v.int(), h: v.optional(v.int()), tags: v.optional(v.array(v.string())) }))
      .optional(),
    tags: field.array(field.string().max(3)).max(4).default(["new"]),
    states: field.array(field.enum(["a", "b"])).optional(),
    counts: field.array(field.int().min(0)).optional(),
    days: field.array(field.datetime()).optional(),
  },
  { timestamps: true },
);
const app = appOf(
  buildManifest({ name: "nested", version: "1.0.0", access: "public", entities: [Doc] }),
  {
    add: mutation({
      args: v.looseObject({}),
      handler: (ctx, data) => ctx.db.insert("Doc", data),
    }),
    read: query({ args: { id: v.string() }, handler: (ctx, { id }) => ctx.db.get("Doc", id) }),
  },
);

let server: TestServer;
let client: TestClient;
let engine: SyncEngine;
beforeAll(async () => {
  server = await startServer(app);
  client = await TestClient.guest(server.url);
  engine = createSyncEngine(server.url, {
    token: client.token ?? "",
    storage: createWriteThroughStorage({}, () => undefined),
    persist: false,
  });
  engine.start();
});
afterAll(async () => {
  engine.stop();
  await server.stop();
});

const jsonText = anyText({ maxLength: 5 }).filter(isText);
const json = fc.letrec<{ value: unknown; nested: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.oneof(
      jsonText,
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
      fc.constantFrom(null, true, 0, 1e21, 5e-324, 2 ** 53, 'it\'s "quoted" \\'),
    ),
    tie("nested"),
  ),
  nested: fc.oneof(
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(
      jsonText.filter((key) => key !== "__proto__"),
      tie("value"),
      {
        maxKeys: 4,
        noNullPrototype: true,
      },
    ),
  ),
})).nested;
const rows = fc.record(
  {
    meta: fc.oneof(json, fc.constant(null)),
    shape: fc.constantFrom({ w: 1 }, { w: 1, h: 2, tags: ["x"] }),
    tags: fc.array(fc.string({ maxLength: 3, unit: "grapheme-ascii" }), { maxLength: 4 }),
    states: fc.array(fc.constantFrom("a", "b"), { maxLength: 5 }),
    counts: fc.array(fc.nat(), { maxLength: 5 }),
    days: fc.array(fc.constant("2026-01-31T12:00:00.000Z"), { maxLength: 2 }),
  },
  { requiredKeys: [] },
);

function isText(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}

test("values are returned unchanged, on every write path and read path", async () => {
  await fc.assert(
    fc.asyncProperty(rows, fc.constantFrom("http", "function", "client"), async (data, way) => {
      const id = await inserted(data, way);
      const { body: row } = await client.request("GET", `/api/entities/Doc/${id}`);
      const expected = {
        meta: null,
        shape: null,
        tags: ["new"],
        states: null,
        counts: null,
        days: null,
        ...data,
      };
      expect<object>(row).toMatchObject(expected);
      const { body: called } = await client.request("POST", "/api/fn/read", { id });
      expect(called).toEqual(row);
      await until(() => engine.store.get("Doc", id)?.["createdAt"] !== undefined);
      expect<object | null>(engine.store.get("Doc", id)).toEqual(row);
    }),
    { numRuns: 60 },
  );
}, 60_000);

async function inserted(data: Readonly<Record<string, unknown>>, way: string): Promise<string> {
  if (way === "http") return client.insert("Doc", data);
  if (way === "client") {
    const id = await engine.insert("Doc", data);
    await until(
      async () => (await client.request("GET", `/api/entities/Doc/${id}`)).status === 200,
    );
    return id;
  }
  const { text } = await client.request("POST", "/api/fn/add", data);
  return JSON.parse(text) as string;
}

const nests = (levels: number): unknown => (levels === 0 ? [] : [nests(levels - 1)]);

test.each<[object, string]>([
  [{ meta: "text" }, 'Doc.meta is "text", not a JSON object or list.'],
  [{ meta: 5 }, "Doc.meta is 5, not a JSON object or list."],
  [{ meta: { a: ["\0"] } }, "Doc.meta contains an invalid character, at a[0]."],
  [{ meta: nests(22) }, "Doc.meta nests more than 20 levels."],
  [
    { shape: { w: "1" } },
    "Doc.shape does not match its declaration: it.w: expected int, got string.",
  ],
  [{ shape: [] }, "Doc.shape does not match its declaration: it: expected object, got array."],
  [{ tags: "a" }, 'Doc.tags is "a", not a list.'],
  [{ tags: null }, "Doc.tags can't be null."],
  [{ tags: ["a", "abcd"] }, "Doc.tags has an item that must have at most 3 characters ([1])."],
  [{ tags: ["a", null] }, "Doc.tags has an item that is null, not a string ([1])."],
  [{ tags: ["a", "a", "a", "a", "a"] }, "Doc.tags must have at most 4 items."],
  [{ states: ["a", "c"] }, 'Doc.states has an item that is "c", not one of "a", "b" ([1]).'],
  [
    { counts: [0.5] },
    "Doc.counts has an item that is 0.5, not a whole number within ±(2^53 - 1) ([0]).",
  ],
  [
    { days: ["soon"] },
    'Doc.days has an item that is "soon", not an ISO 8601 date such as 2026-01-31T12:00:00Z ([0]).',
  ],
])("%j is rejected", async (data, message) => {
  const { status, body } = await client.request("POST", "/api/entities/Doc", data);
  const [field] = Object.keys(data);
  expect([status, body["error"]]).toEqual([400, expect.objectContaining({ field, message })]);
});

test("dates in an array are normalized", async () => {
  const id = await client.insert("Doc", { days: ["2026-01-31", "2026-01-31T01:00:00+01:00"] });
  const { body } = await client.request("GET", `/api/entities/Doc/${id}`);
  expect(body["days"]).toEqual(["2026-01-31T00:00:00.000Z", "2026-01-31T00:00:00.000Z"]);
});

test("an update with equal values changes nothing; a real one reaches the client", async () => {
  const id = await client.insert("Doc", { meta: { a: 1, b: [2] }, tags: ["x"] });
  const { body: before } = await client.request("GET", `/api/entities/Doc/${id}`);
  const patch = (data: object) => client.request("PATCH", `/api/entities/Doc/${id}`, data);
  await patch({ meta: { b: [2], a: 1 }, tags: ["x"] });
  expect((await client.request("GET", `/api/entities/Doc/${id}`)).body).toEqual(before);
  await patch({ meta: { b: [2, 3], a: 1 } });
  await until(() => JSON.stringify(engine.store.get("Doc", id)?.["meta"]).includes("3"));
  expect(engine.store.get("Doc", id)?.["tags"]).toEqual(["x"]);
});

test("they can be filtered only by presence", async () => {
  const own = await startServer(app);
  try {
    const caller = await TestClient.guest(own.url);
    for (const [n, meta] of [{ a: 1 }, null, [1]].entries())
      await caller.insert("Doc", { n, meta });
    const asked = async (filter: object): Promise<unknown> => {
      const { status, text } = await caller.request("POST", "/api/query/Doc", filter);
      const answer: unknown = JSON.parse(text);
      return status === 200
        ? (answer as { n: number }[]).map(({ n }) => n).toSorted((a, b) => a - b)
        : (answer as { error: { code: string } }).error.code;
    };
    expect(await asked({ meta: null })).toEqual([1]);
    expect(await asked({ meta: { $ne: null } })).toEqual([0, 2]);
    expect(await asked({ meta: { $exists: true }, tags: { $exists: true } })).toEqual([0, 2]);
    for (const filter of [
      { meta: "x" },
      { meta: { $in: ["x"] } },
      { meta: { $gt: 1 } },
      { tags: { $like: "x" } },
      { $order: { tags: "asc" } },
    ])
      expect([filter, await asked(filter)]).toEqual([filter, "INVALID_QUERY"]);
    for (const spec of [{ groupBy: ["tags"] }, { min: ["meta"] }, { countDistinct: ["tags"] }]) {
      const { body } = await caller.request("POST", "/api/aggregate/Doc", { count: true, ...spec });
      expect((body["error"] as { code: string }).code).toBe("INVALID_QUERY");
    }
  } finally {
    await own.stop();
  }
});

test("an export can be imported; large values count towards the size of a page", async () => {
  const [from, to] = [await startServer(app), await startServer(app)];
  try {
    const [admin, other] = [
      new TestClient(from.url, ADMIN_TOKEN),
      new TestClient(to.url, ADMIN_TOKEN),
    ];
    const meta = { numbers: Array.from({ length: 40_000 }, () => 1e21), text: "é\u{1F600}" };
    for (let n = 0; n < 12; n += 1) await admin.insert("Doc", { n, meta, tags: ["a", "b"] });
    const page = await admin.request("GET", "/api/entities/Doc?limit=50");
    const rowsOfPage = page.body["data"] as object[];
    expect([rowsOfPage.length < 12, page.body["has_more"]]).toEqual([true, true]);
    const exported = await admin.request("GET", "/api/export/Doc");
    const { body } = await other.request("POST", "/api/import", exported.text);
    expect(body["failed"]).toBe(0);
    const again = await other.request("GET", "/api/export/Doc");
    expect(again.body["entities"]).toEqual(exported.body["entities"]);
    const tooLarge = { text: "é".repeat(600_000) };
    const refused = await admin.request("POST", "/api/entities/Doc", { meta: tooLarge });
    expect([refused.status, (refused.body["error"] as { field: string }).field]).toEqual([
      413,
      "meta",
    ]);
  } finally {
    await from.stop();
    await to.stop();
  }
});
