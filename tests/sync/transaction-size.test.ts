import { afterAll, beforeAll, expect, test } from "bun:test";
import { action, mutation, query, v } from "@pylonsync/functions";
import { MAX_TRANSACTION_WRITES } from "@pylonsync/protocol";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const app = appOf(
  buildManifest({
    name: "sizes",
    version: "1.0.0",
    access: "public",
    entities: [entity("Item", { n: field.int() })],
  }),
  {
    add: mutation({
      args: { count: v.int() },
      handler: async (ctx, { count }) => {
        for (let n = 0; n < count; n += 1) await ctx.db.insert("Item", { n });
      },
    }),
    addInParts: action({
      args: { count: v.int(), parts: v.int() },
      handler: async (ctx, { count, parts }) => {
        for (let part = 0; part < parts; part += 1) await ctx.runMutation("add", { count });
      },
    }),
    count: query({ args: {}, handler: (ctx) => ctx.db.count("Item") }),
  },
);

let server: TestServer;
let client: TestClient;
beforeAll(async () => {
  server = await startServer(app);
  client = await TestClient.guest(server.url);
});
afterAll(() => server.stop());

async function count(): Promise<number> {
  return Number((await client.request("POST", "/api/fn/count", {})).text);
}

test("F7: a mutation that writes too many rows is rejected, and writes nothing", async () => {
  const answer = await client.request("POST", "/api/fn/add", { count: MAX_TRANSACTION_WRITES + 1 });
  expect(answer).toMatchObject({
    status: 413,
    body: { error: { code: "TRANSACTION_TOO_LARGE" } },
  });
  expect(await count()).toBe(0);
  const parts = { count: 3_000, parts: 4 };
  expect((await client.request("POST", "/api/fn/addInParts", parts)).status).toBe(200);
  expect(await count()).toBe(12_000);
});

test("F7: an import accepts any number of rows", async () => {
  const before = await count();
  const rows = Array.from({ length: MAX_TRANSACTION_WRITES + 1_000 }, (_, n) => ({ n }));
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const answer = await admin.request("POST", "/api/import", { entities: { Item: rows } });
  expect(answer).toMatchObject({ status: 200, body: { imported: rows.length, failed: 0 } });
  expect(await count()).toBe(before + rows.length);
});
