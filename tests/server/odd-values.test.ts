import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mutation, query } from "@pylonsync/functions";
import { buildManifest, definePlugin, entity, field } from "@pylonsync/sdk";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const Note = entity("Note", {
  text: field.string().optional(),
  at: field.datetime().optional(),
  count: field.int().optional(),
});
const Stamped = entity("Stamped", { text: field.string().optional() });

/** The JSON values that are not objects, and a list that looks like one. */
const NO_OBJECTS = [1, true, "text", [], ["text"], null] as const;

const anything = {
  insert: mutation({
    handler: (ctx, args) => ctx.db.insert("Note", (args as { data: never }).data),
  }),
  page: query({
    handler: (ctx, args) => ctx.db.paginate("Note", { cursor: (args as { cursor: never }).cursor }),
  }),
  throwProxy: mutation({
    args: {},
    handler: async (ctx): Promise<void> => {
      await ctx.db.insert("Note", { text: "thrown" });
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      throw proxy;
    },
  }),
};

let server: TestServer;
let hooked: TestServer;
let client: TestClient;
let admin: TestClient;

beforeAll(async () => {
  const manifest = { name: "odd", version: "1.0.0", access: "public" } as const;
  server = await startServer(appOf(buildManifest({ ...manifest, entities: [Note] }), anything));
  hooked = await startServer(
    appOf(
      buildManifest({
        ...manifest,
        entities: [Stamped],
        plugins: [
          definePlugin({
            name: "stamps",
            hooks: { beforeInsert: (data) => ({ ...data, text: "stamped" }) },
          }),
        ],
      }),
    ),
  );
  client = await TestClient.guest(server.url);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => Promise.all([server.stop(), hooked.stop()]));

async function countOf(entityName: string, of: TestServer): Promise<unknown> {
  const caller = new TestClient(of.url, ADMIN_TOKEN);
  const { body } = await caller.request("POST", `/api/aggregate/${entityName}`, { count: true });
  return (body["rows"] as { count: number }[])[0]?.count;
}

describe("Q7: data that is not an object never becomes an empty row", () => {
  for (const data of NO_OBJECTS) {
    const shown = JSON.stringify(data);
    test(`${shown} in a transaction, a batch, and a function`, async () => {
      const operation = { op: "insert", entity: "Note", data };
      const transact = await client.request("POST", "/api/transact", [operation]);
      expect(transact.status).toBe(400);
      expect(transact.text).toContain("INVALID_DATA");
      for (const rest of [{ data }, { data: { id: "a", text: "a" }, update: data }]) {
        const upsert = { op: "upsert", entity: "Note", by: "id", ...rest };
        // The row exists for the upsert.
        const first = { op: "insert", entity: "Note", data: { id: "a", text: "a" } };
        const both = await client.request("POST", "/api/transact", [first, upsert]);
        expect([both.status, both.text]).toEqual([400, expect.stringContaining("INVALID_DATA")]);
      }
      const { body } = await admin.request("POST", "/api/batch", { operations: [operation] });
      expect(body).toMatchObject({ succeeded: 0, failed: 1 });
      expect(JSON.stringify(body)).toContain("INVALID_DATA");
      const call = await client.request("POST", "/api/fn/insert", { data });
      expect(call.body["error"]).toMatchObject({ code: "INVALID_DATA" });
      expect(await countOf("Note", server)).toBe(0);
    });

    test(`${shown} where a plugin has hooks`, async () => {
      const caller = new TestClient(hooked.url, ADMIN_TOKEN);
      const answer = await caller.request("POST", "/api/entities/Stamped", JSON.stringify(data));
      expect(answer.body["error"]).toMatchObject({ code: "INVALID_DATA" });
      expect(await countOf("Stamped", hooked)).toBe(0);
    });
  }
});

const MALFORMED = [
  { entity: "Note", row_id: "listed", kind: "insert", data: [], op_id: "op-list" },
  { entity: "Note", row_id: "absent", kind: "insert", data: null },
  { entity: "Note", row_id: 5, kind: "insert", data: { text: "a" } },
  { entity: "Note", row_id: "kind", kind: "upsert", data: { text: "a" } },
  { entity: "Note", row_id: "op", kind: "delete", op_id: 5 },
  "a text",
  null,
];

test("Q7: a malformed change of a push is rejected alone, and the others are applied", async () => {
  const good = ["first", "last"].map((id) => ({
    entity: "Note",
    row_id: id,
    kind: "insert",
    data: { text: id },
  }));
  const [first, last] = good;
  const answer = await client.request("POST", "/api/sync/push", {
    changes: [first, ...MALFORMED, last],
    results: true,
  });
  expect(answer.status).toBe(200);
  const results = answer.body["results"] as readonly Readonly<Record<string, unknown>>[];
  expect(results.map(({ status }) => status)).toEqual([
    "applied",
    ...MALFORMED.map(() => "refused"),
    "applied",
  ]);
  expect(results[1]).toMatchObject({
    op_id: "op-list",
    error: {
      code: "INVALID_DATA",
      field: "data",
      message: 'The change is malformed: "data" must be an object, but is a list.',
    },
  });
  for (const { id } of [{ id: "first" }, { id: "last" }])
    expect((await client.request("DELETE", `/api/entities/Note/${id}`)).status).toBe(200);
  expect(await countOf("Note", server)).toBe(0);
});

test.each(MALFORMED)("Q7: an older client's push with %j is rejected whole", async (change) => {
  const { body } = await client.request("POST", "/api/sync/push", { changes: [change] });
  expect(body["error"]).toMatchObject({
    code: "INVALID_DATA",
    field: expect.stringContaining("changes[0]"),
  });
});

test("Q7: one name for two values in an aggregate is rejected", async () => {
  for (const [body, named] of [
    [{ count: true, groupBy: ["text", "text"] }, "groupBy[1]"],
    [{ count: true, groupBy: ["at", { field: "at", bucket: "day" }] }, "groupBy[1]"],
    [{ count: true, groupBy: ["count"] }, "groupBy[0]"],
    [{ count: true, groupBy: [{ field: "at", bucket: "day", timezone: "CET" }] }, "timezone"],
  ] as const) {
    const answer = await client.request("POST", "/api/aggregate/Note", body);
    expect(answer.body["error"]).toMatchObject({ code: "INVALID_QUERY" });
    expect(answer.text).toContain(named);
  }
  const sums = { sum: ["count", "count"], groupBy: ["text"] };
  expect((await client.request("POST", "/api/aggregate/Note", sums)).status).toBe(200);
});

test("Q7: an insert of a transaction without data uses the defaults", async () => {
  const operations = [{ op: "insert", entity: "Note", id: "bare" }];
  expect((await client.request("POST", "/api/transact", operations)).status).toBe(200);
  expect((await client.request("DELETE", "/api/entities/Note/bare")).status).toBe(200);
});

test("Q7: a cursor that is not a string is rejected, not treated as past the end", async () => {
  for (const cursor of [1, [], { toString: 1 }, true]) {
    const answer = await client.request("POST", "/api/fn/page", { cursor });
    expect(answer.body["error"]).toMatchObject({ code: "INVALID_QUERY", field: "cursor" });
  }
  expect((await client.request("POST", "/api/fn/page", { cursor: null })).status).toBe(200);
});

test("L4: a handler that throws a revoked Proxy gets an error, and only it is undone", async () => {
  const [thrown, written] = await Promise.all([
    client.request("POST", "/api/fn/throwProxy", {}),
    client.request("POST", "/api/fn/insert", { data: { id: "beside", text: "beside" } }),
  ]);
  expect(thrown.body["error"]).toMatchObject({ code: "HANDLER_ERROR" });
  expect(written.status).toBe(200);
  expect(await countOf("Note", server)).toBe(1);
});

test("a lookup by a number takes numbers only, and names any other text", async () => {
  await admin.insert("Note", { count: 0 });
  await admin.insert("Note", { count: -12 });
  const lookup = async (text: string): Promise<[number, unknown]> => {
    const path = `/api/lookup/Note/count/${encodeURIComponent(text)}`;
    const { status, body } = await client.request("GET", path);
    return [status, status === 200 ? body["count"] : body["error"]];
  };
  expect(await lookup("-12")).toEqual([200, -12]);
  expect(await lookup("-1.2e1")).toEqual([200, -12]);
  for (const text of ["abc", " ", "0x0", "Infinity", "--1", "1e"]) {
    const [status, error] = await lookup(text);
    expect([text, status]).toEqual([text, 400]);
    expect(error).toMatchObject({ message: expect.stringContaining(text) });
  }
});
