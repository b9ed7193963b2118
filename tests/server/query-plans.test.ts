import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { mutation, query, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import {
  explainAll,
  isScan,
  recordPlans,
  recordStatements,
  sqlitePlans,
  type Plan,
} from "../support/query-plans.ts";
import { ADMIN_TOKEN, appOf, startServer } from "../support/server.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";

const isMember = "exists(Member, channelId == data.channelId && userId == auth.userId)";
const app = appOf(
  buildManifest({
    name: "plans",
    version: "1.0.0",
    entities: [
      entity(
        "Member",
        { channelId: field.string(), userId: field.string() },
        { indexes: [{ name: "of", fields: ["userId", "channelId"], unique: false }] },
      ),
      entity(
        "Message",
        { channelId: field.string(), text: field.string() },
        { indexes: [{ name: "in", fields: ["channelId"], unique: false }] },
      ),
    ],
    policies: [
      policy({
        name: "own",
        entity: "Member",
        allowRead: "auth.userId == data.userId",
        allowWrite: "auth.isAdmin",
      }),
      policy({ name: "in_channel", entity: "Message", allow: isMember }),
    ],
  }),
  {
    say: mutation({
      args: { channelId: v.string(), text: v.string() },
      handler: (ctx, args) => ctx.db.insert("Message", args),
    }),
    sayLater: mutation({
      args: { channelId: v.string(), text: v.string() },
      handler: (ctx, args) => ctx.scheduler.runAfter(0, "say", args),
    }),
    read: query({ args: { id: v.string() }, handler: (ctx, { id }) => ctx.db.get("Message", id) }),
  },
);

/** Statements that scan a whole table on purpose. */
const MEANT: readonly RegExp[] = [
  // A snapshot and a list: pages of an app's rows by id. Indexes for its policies are up to the
  // app.
  /^SELECT [^()]* FROM "(Message|Member)" AS t WHERE .* ORDER BY t."id" ASC LIMIT/s,
  // The indexes of a table, which SQLite reads from the schema in memory.
  /FROM pragma_index_list\(/,
  // The isolated functions: a few, read at the start and when another one is found.
  /^SELECT [^()]* FROM "_pylon_isolated_functions" AS t ORDER BY t."id" ASC$/,
  // The creation of a room: there are at most 10,000.
  /^NOT EXISTS \(SELECT FROM "_pylon_rooms" .* count\(\*\)/s,
];

/** The requests that every client sends over and over. */
async function hotPaths(url: string): Promise<void> {
  const admin = new TestClient(url, ADMIN_TOKEN);
  const client = await TestClient.guest(url);
  const call = async (method: string, path: string, body?: unknown): Promise<void> => {
    const answer = await client.request(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.text}`);
  };
  const member = await admin.insert("Member", { channelId: "c", userId: client.userId });
  const { body } = await client.request("GET", "/api/sync/pull?since=0&limit=1");
  const { last_seq: cursor } = body["cursor"] as { last_seq: number };
  const sockets = [client.live(cursor), client.live()];
  await sockets[0]?.ready();
  const id = await client.insert("Message", { channelId: "c", text: "a" });
  await sockets[0]?.heard(1);
  await call("PATCH", `/api/entities/Message/${id}`, { text: "b" });
  await call("GET", `/api/entities/Message/${id}`);
  await call("GET", "/api/entities/Message?limit=10");
  await call("GET", "/api/entities/Message/cursor?limit=10");
  await call("POST", "/api/query/Message", { channelId: "c", $limit: 10 });
  await call("GET", "/api/auth/me");
  await call("POST", "/api/fn/say", { channelId: "c", text: "c" });
  await call("POST", "/api/fn/read", { id });
  // A job, which must be found quickly among thousands of waiting ones.
  await call("POST", "/api/fn/sayLater", { channelId: "c", text: "later" });
  await until(() => sockets[0]?.events.some(({ data }) => data?.["text"] === "later") === true);
  const change = { entity: "Message", row_id: "m1", data: { channelId: "c", text: "d" } };
  const changes = [
    { ...change, kind: "insert", op_id: "o1" },
    { ...change, kind: "update", op_id: "o2" },
    { entity: "Message", row_id: "m1", kind: "delete", op_id: "o3" },
  ];
  await call("POST", "/api/sync/push", { changes, results: true });
  await call("GET", `/api/sync/pull?since=${cursor}`);
  await call("POST", "/api/rooms/join", { room: "r" });
  await call("POST", "/api/rooms/presence", { room: "r", data: {} });
  await call("POST", "/api/rooms/broadcast", { room: "r", topic: "t" });
  await call("GET", "/api/rooms/r");
  await call("GET", "/api/rooms");
  await call("POST", "/api/rooms/leave", { room: "r" });
  // A lost right removes rows, live and for a returning client.
  await admin.request("DELETE", `/api/entities/Member/${member}`);
  await until(
    () =>
      sockets[0]?.events.some(({ kind, row_id: row }) => kind === "delete" && row === id) === true,
  );
  for (const socket of sockets) socket.close();
  await call("DELETE", "/api/auth/session");
}

test("E1: no statement of a hot path scans a whole table", async () => {
  const plans =
    process.env["PYLON_TEST_STORE"] === "postgres" ? await onPostgres() : await onSqlite();
  const scans = plans.filter((plan) => isScan(plan));
  expect(scans.filter(({ sql }) => !MEANT.some((pattern) => pattern.test(sql)))).toEqual([]);
});

async function onSqlite(): Promise<Plan[]> {
  const dir = mkdtempSync(join(tmpdir(), "pylon-plans-"));
  const file = join(dir, "plans.db");
  const recorder = recordStatements();
  const server = await startServer(app, { PYLON_DB_PATH: file, PYLON_IN_MEMORY: "0" });
  await hotPaths(server.url);
  const statements = recorder.stop();
  await server.stop();
  const plans = sqlitePlans(file, statements);
  rmSync(dir, { recursive: true });
  return plans;
}

async function onPostgres(): Promise<Plan[]> {
  const url = await createDatabase(sharedPostgresUrl());
  const first = await startServer(app, { DATABASE_URL: url });
  await first.stop();
  await explainAll(url);
  const recorder = recordPlans();
  const server = await startServer(app, { DATABASE_URL: url });
  recorder.begin();
  await hotPaths(server.url);
  const plans = recorder.stop();
  await server.stop();
  expect(plans.length).toBeGreaterThan(20);
  return plans;
}
