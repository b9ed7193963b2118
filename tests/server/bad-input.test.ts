import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mutation, v } from "@pylonsync/functions";
import { ERROR_STATUS } from "@pylonsync/protocol";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import fc from "fast-check";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const Item = entity("Item", {
  name: field.string().unique(),
  n: field.int().optional(),
  f: field.float().optional(),
  ok: field.bool().optional(),
  due: field.datetime().optional(),
  fixed: field.string().readonly().optional(),
});
const app = appOf(
  buildManifest({ name: "items", version: "1.0.0", entities: [Item], access: "public" }),
  {
    greet: mutation({
      args: { name: v.string(), age: v.optional(v.int()) },
      handler: (_ctx, { name }) => ({ hello: name }),
    }),
  },
);

let server: TestServer;
let client: TestClient;
let admin: TestClient;
let before = "";
const everything = async (): Promise<string> => {
  const { entities, counts } = (await admin.request("GET", "/api/export")).body;
  return JSON.stringify({ entities, counts });
};

beforeAll(async () => {
  server = await startServer(app);
  client = await TestClient.guest(server.url);
  admin = new TestClient(server.url, ADMIN_TOKEN);
  await client.insert("Item", { id: "one", name: "one", n: 1 });
  before = await everything();
});
afterAll(() => server.stop());

/** Expects a documented error code and no change of any data. */
async function refused(
  method: string,
  path: string,
  body: unknown,
  code: string,
  field?: string,
): Promise<void> {
  const answer = await client.request(method, path, body);
  const error = answer.body["error"] as
    | { code?: string; field?: string; message?: string }
    | undefined;
  expect({ path, body: JSON.stringify(body)?.slice(0, 100), code: error?.code }).toEqual({
    path,
    body: JSON.stringify(body)?.slice(0, 100),
    code,
  });
  expect(answer.status).toBe(ERROR_STATUS[code as keyof typeof ERROR_STATUS]);
  expect(error?.message).toBeTruthy();
  if (field !== undefined) expect(error?.field).toBe(field);
  expect(await everything()).toBe(before);
}

const deep = (levels: number): string => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;

const CASES: readonly (readonly [
  what: string,
  method: string,
  path: string,
  body: unknown,
  code: string,
  field?: string,
])[] = [
  ["an unknown entity", "POST", "/api/entities/Nope", { name: "a" }, "ENTITY_NOT_FOUND"],
  [
    "an internal entity of Pylon",
    "GET",
    "/api/entities/_pylon_sessions",
    undefined,
    "ENTITY_NOT_FOUND",
  ],
  [
    "SQL in an entity's name",
    "GET",
    `/api/entities/${encodeURIComponent('Item"; DROP TABLE "Item')}`,
    undefined,
    "ENTITY_NOT_FOUND",
  ],
  [
    "an unknown field",
    "POST",
    "/api/entities/Item",
    { name: "a", nope: 1 },
    "INVALID_COLUMN",
    "nope",
  ],
  [
    "SQL in a field's name",
    "POST",
    "/api/entities/Item",
    { name: "a", 'n" = 1; --': 1 },
    "INVALID_COLUMN",
  ],
  [
    "__proto__ as a field",
    "POST",
    "/api/entities/Item",
    '{"name":"a","__proto__":{"admin":true}}',
    "INVALID_COLUMN",
    "__proto__",
  ],
  [
    "constructor as a field",
    "PATCH",
    "/api/entities/Item/one",
    '{"constructor":{"prototype":{}}}',
    "INVALID_COLUMN",
    "constructor",
  ],
  ["a missing field", "POST", "/api/entities/Item", { n: 1 }, "MISSING_FIELD", "name"],
  ["a number for a string", "POST", "/api/entities/Item", { name: 5 }, "INVALID_DATA", "name"],
  [
    "an object for a string",
    "POST",
    "/api/entities/Item",
    { name: { $gt: "" } },
    "INVALID_DATA",
    "name",
  ],
  [
    "a fraction for an int",
    "POST",
    "/api/entities/Item",
    { name: "a", n: 1.5 },
    "INVALID_DATA",
    "n",
  ],
  [
    "an int beyond the safe range",
    "POST",
    "/api/entities/Item",
    '{"name":"a","n":9007199254740993}',
    "INVALID_DATA",
    "n",
  ],
  [
    "a text for a bool",
    "POST",
    "/api/entities/Item",
    { name: "a", ok: "true" },
    "INVALID_DATA",
    "ok",
  ],
  [
    "a text that is not a date",
    "POST",
    "/api/entities/Item",
    { name: "a", due: "tomorrow" },
    "INVALID_DATA",
    "due",
  ],
  [
    "half of a surrogate pair",
    "POST",
    "/api/entities/Item",
    '{"name":"\\ud800"}',
    "INVALID_DATA",
    "name",
  ],
  [
    "a text too long for its index",
    "POST",
    "/api/entities/Item",
    { name: "é".repeat(1301) },
    "INVALID_DATA",
    "name",
  ],
  ["a NUL in a text", "POST", "/api/entities/Item", '{"name":"a\\u0000b"}', "INVALID_DATA", "name"],
  [
    "null for a required field",
    "PATCH",
    "/api/entities/Item/one",
    { name: null },
    "INVALID_DATA",
    "name",
  ],
  [
    "a change of a readonly field",
    "PATCH",
    "/api/entities/Item/one",
    { fixed: "x" },
    "READONLY_FIELD",
    "fixed",
  ],
  [
    "a unique value that is taken",
    "POST",
    "/api/entities/Item",
    { name: "one" },
    "UNIQUE_VIOLATION",
    "name",
  ],
  ["an id that is taken", "POST", "/api/entities/Item", { id: "one", name: "b" }, "ID_TAKEN", "id"],
  [
    "an id with a slash",
    "POST",
    "/api/entities/Item",
    { id: "../x", name: "b" },
    "INVALID_ID",
    "id",
  ],
  [
    "an id that is not a text",
    "POST",
    "/api/entities/Item",
    { id: 7, name: "b" },
    "INVALID_ID",
    "id",
  ],
  ["a body that is not JSON", "POST", "/api/entities/Item", "{name: 'a'}", "INVALID_JSON"],
  ["an empty body", "POST", "/api/entities/Item", "", "INVALID_JSON"],
  ["a list for a row", "POST", "/api/entities/Item", [], "INVALID_DATA"],
  ["null for a row", "POST", "/api/entities/Item", "null", "INVALID_DATA"],
  ["JSON of 40 levels", "POST", "/api/entities/Item", deep(40), "INVALID_JSON"],
  ["JSON of 100,000 levels", "POST", "/api/query/Item", deep(100_000), "INVALID_JSON"],
  [
    "20 MB",
    "POST",
    "/api/entities/Item",
    `{"name":"${"x".repeat(20 * 1024 * 1024)}"}`,
    "PAYLOAD_TOO_LARGE",
  ],
  ["a row that does not exist", "PATCH", "/api/entities/Item/nope", { n: 1 }, "NOT_FOUND"],
  [
    "an unknown operator",
    "POST",
    "/api/query/Item",
    { n: { $regex: ".*" } },
    "INVALID_QUERY",
    "n.$regex",
  ],
  [
    "a filter by an unknown field",
    "POST",
    "/api/query/Item",
    { nope: 1 },
    "INVALID_COLUMN",
    "nope",
  ],
  ["SQL in a filter's field", "POST", "/api/query/Item", { "n) OR (1=1": 1 }, "INVALID_COLUMN"],
  [
    "a text compared with an int",
    "POST",
    "/api/query/Item",
    { n: "1 OR 1=1" },
    "INVALID_QUERY",
    "n",
  ],
  [
    "an order by an unknown field",
    "POST",
    "/api/query/Item",
    { $order: { "n; DROP": "asc" } },
    "INVALID_COLUMN",
  ],
  [
    "a limit that is negative",
    "POST",
    "/api/query/Item",
    { $limit: -1 },
    "INVALID_QUERY",
    "$limit",
  ],
  [
    "a limit beyond the maximum",
    "POST",
    "/api/query/Item",
    { $limit: 1_000_000 },
    "INVALID_QUERY",
    "$limit",
  ],
  [
    "2,000 values in $in",
    "POST",
    "/api/query/Item",
    { n: { $in: Array.from({ length: 2000 }, (_, n) => n) } },
    "INVALID_QUERY",
  ],
  [
    "300 conditions",
    "POST",
    "/api/query/Item",
    { $or: Array.from({ length: 300 }, (_, n) => ({ n })) },
    "INVALID_QUERY",
  ],
  ["a list for a filter", "POST", "/api/query/Item", [], "INVALID_QUERY"],
  [
    "a limit that is not a number",
    "GET",
    "/api/entities/Item?limit=ten",
    undefined,
    "INVALID_QUERY",
    "limit",
  ],
  ["a sum of texts", "POST", "/api/aggregate/Item", { sum: ["name"] }, "INVALID_QUERY", "sum"],
  [
    "an aggregate of an unknown field",
    "POST",
    "/api/aggregate/Item",
    { sum: ["nope"] },
    "INVALID_COLUMN",
  ],
  [
    "an unknown relation",
    "POST",
    "/api/query",
    { Item: { include: { owner: {} } } },
    "RELATION_NOT_FOUND",
  ],
  ["a push without changes", "POST", "/api/sync/push", {}, "INVALID_DATA"],
  [
    "a push of an unknown kind",
    "POST",
    "/api/sync/push",
    { changes: [{ entity: "Item", row_id: "x", kind: "upsert" }] },
    "INVALID_DATA",
    "changes[0].kind",
  ],
  [
    "1,001 changes in a push",
    "POST",
    "/api/sync/push",
    {
      changes: Array.from({ length: 1001 }, () => ({
        entity: "Item",
        row_id: "x",
        kind: "delete",
      })),
      results: true,
    },
    "INVALID_DATA",
  ],
  [
    "a forged page token",
    "GET",
    "/api/sync/pull?since=0&limit=1&page=zzz",
    undefined,
    "INVALID_QUERY",
    "page",
  ],
  ["a call of an unknown function", "POST", "/api/fn/nope", {}, "FN_NOT_FOUND"],
  ["a call without its argument", "POST", "/api/fn/greet", {}, "INVALID_ARGS", "name"],
  [
    "a call with a fraction for an int",
    "POST",
    "/api/fn/greet",
    { name: "a", age: 1.5 },
    "INVALID_ARGS",
    "age",
  ],
  ["a call with a list for its arguments", "POST", "/api/fn/greet", [], "INVALID_ARGS"],
  ["a webhook to a mutation", "POST", "/api/webhooks/greet", {}, "NOT_AN_ACTION"],
  ["a path that does not exist", "GET", "/api/nope", undefined, "NOT_FOUND"],
  ["a method that is not allowed", "DELETE", "/api/entities/Item", undefined, "METHOD_NOT_ALLOWED"],
  ["an admin's route", "GET", "/api/export", undefined, "FORBIDDEN"],
  [
    "a transaction of an unknown operation",
    "POST",
    "/api/transact",
    [{ op: "drop", entity: "Item" }],
    "INVALID_DATA",
  ],
];

describe("is rejected with a code, a message and no effect:", () => {
  for (const [what, ...call] of CASES) test(what, () => refused(...call));
});

test("an unknown token is 401, even for a public entity", async () => {
  const stranger = new TestClient(server.url, "not-a-token");
  expect(await stranger.request("GET", "/api/entities/Item")).toMatchObject({
    status: 401,
    body: { error: { code: "UNAUTHORIZED" } },
  });
});

test("an error response contains the id of the request", async () => {
  const { body } = await client.request("GET", "/api/entities/Nope");
  expect((body["error"] as { request_id: string }).request_id).toMatch(/^[0-9a-f]{8}-/);
});

test("every route responds below 500 to any JSON, and the server survives", async () => {
  const paths = CASES.map(([, , path]) => path).filter((path) => !path.includes("nope"));
  const request = fc.record({
    method: fc.constantFrom("GET", "POST", "PATCH", "DELETE", "PUT"),
    path: fc.oneof(
      fc.constantFrom(...paths),
      fc.string().map((text) => `/api/entities/Item/${encodeURIComponent(text)}`),
      fc.string().map((text) => `/api/${text.replaceAll(/[#?]/g, "")}`),
    ),
    body: fc.oneof(
      fc.json(),
      fc
        .dictionary(
          fc.constantFrom(
            "n",
            "name",
            "$or",
            "$and",
            "$not",
            "$order",
            "$limit",
            "where",
            "changes",
            "operations",
            "groupBy",
            "count",
            "__proto__",
          ),
          fc.jsonValue(),
        )
        .map((value) => JSON.stringify(value)),
      fc.string(),
    ),
  });
  await fc.assert(
    fc.asyncProperty(request, async ({ method, path, body }) => {
      const answer = await client.request(method, path, method === "GET" ? undefined : body);
      return answer.status < 500;
    }),
    { numRuns: 400 },
  );
  expect((await client.request("GET", "/health")).status).toBe(200);
});

test.each([
  [1, "changes", "It must be an object, but is 1"],
  [{}, "changes", '"changes" is missing'],
  [{ changes: {} }, "changes", '"changes" must be a list, but is an object'],
  [
    { changes: [{ entity: 5, row_id: "x", kind: "insert" }] },
    "changes[0].entity",
    '"changes[0].entity" must be text, but is 5',
  ],
  [
    { changes: [{ entity: "Item", row_id: "x", kind: "upsert" }] },
    "changes[0].kind",
    '"changes[0].kind" must be "insert" or "update" or "delete", but is "upsert"',
  ],
  [
    {
      changes: Array.from({ length: 1001 }, () => ({
        entity: "Item",
        row_id: "x",
        kind: "delete",
      })),
      results: true,
    },
    "changes",
    '"changes" has more than 1000 entries',
  ],
])("a malformed push is rejected with path and reason: %#", async (body, field, message) => {
  const { error } = (await client.request("POST", "/api/sync/push", body)).body as {
    readonly error: Readonly<Record<string, string>>;
  };
  expect(error).toMatchObject({
    code: "INVALID_DATA",
    field,
    message: `The push is malformed: ${message}.`,
    hint: expect.stringContaining('{"changes": [{'),
  });
});
