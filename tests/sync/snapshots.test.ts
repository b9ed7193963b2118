import { afterAll, beforeAll, expect, test } from "bun:test";
import { action, mutation, query, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { TestClient } from "../support/client.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const ACCOUNTS = 10;
const CENTS = 100;

const app = appOf(
  buildManifest({
    name: "snapshots",
    version: "1.0.0",
    access: "public",
    entities: [entity("Account", { cents: field.int() })],
  }),
  {
    move: mutation({
      args: { from: v.string(), to: v.string(), cents: v.int() },
      handler: async (ctx, { from, to, cents }) => {
        const giver = await ctx.db.get("Account", from);
        const taker = await ctx.db.get("Account", to);
        await ctx.db.update("Account", from, { cents: Number(giver?.["cents"]) - cents });
        await ctx.db.update("Account", to, { cents: Number(taker?.["cents"]) + cents });
      },
    }),
    total: query({
      args: { ids: v.array(v.string()) },
      handler: async (ctx, { ids }) => {
        let total = 0;
        for (const id of ids) total += Number((await ctx.db.get("Account", id))?.["cents"]);
        const rows = await ctx.db.list("Account");
        return [total, rows.reduce((sum, row) => sum + Number(row["cents"]), 0)];
      },
    }),
    totalByAction: action({
      args: { ids: v.array(v.string()) },
      handler: (ctx, args) => ctx.runQuery("total", args),
    }),
  },
);

let server: TestServer;
let client: TestClient;
beforeAll(async () => {
  server = await startServer(app);
  client = await TestClient.guest(server.url);
});
afterAll(() => server.stop());

test.each(["total", "totalByAction"])(
  "F4: all reads of a query see one snapshot, by %s",
  async (name) => {
    const ids = await Promise.all(
      Array.from({ length: ACCOUNTS }, async () => {
        const { body } = await client.request("POST", "/api/entities/Account", { cents: CENTS });
        return String(body["id"]);
      }),
    );
    const before = JSON.parse(
      (await client.request("POST", "/api/fn/total", { ids })).text,
    ) as number[];
    let isOver = false;
    const movers = Array.from({ length: 3 }, async (_, mover) => {
      for (let n = 0; !isOver; n += 1) {
        const [from, to] = [ids[(n + mover) % ACCOUNTS], ids[(n + mover + 5) % ACCOUNTS]];
        await client.request("POST", "/api/fn/move", { from, to, cents: 7 });
      }
    });
    const totals: unknown[] = [];
    for (let n = 0; n < 60; n += 1)
      totals.push(JSON.parse((await client.request("POST", `/api/fn/${name}`, { ids })).text));
    isOver = true;
    await Promise.all(movers);
    expect(totals).toEqual(totals.map(() => before));
    expect(before[0]).toBe(ACCOUNTS * CENTS);
  },
);
