import { MAX_LIVE_READS, MAX_LIVE_RESULT_BYTES } from "@pylonsync/protocol";
import { action, internalQuery, mutation, query, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { aMoment, TestClient, until } from "../support/client.ts";
import { QuerySocket } from "../support/query-socket.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

/** The number of runs per function. */
const runs = new Map<string, number>();
function counted(name: string): void {
  runs.set(name, (runs.get(name) ?? 0) + 1);
}

const manifest = buildManifest({
  name: "live-functions",
  version: "1.0.0",
  entities: [
    entity("Todo", { title: field.string(), rank: field.int(), ownerId: field.string() }),
    entity("Setting", { isPersonal: field.bool() }),
  ],
  policies: [
    // No user may read the rows: what a function returns does not depend on policies.
    policy({ name: "todo", entity: "Todo", allow: "auth.isAdmin" }),
    policy({ name: "setting", entity: "Setting", allow: "auth.isAdmin" }),
  ],
});

const app = appOf(manifest, {
  top: query({
    args: { limit: v.int() },
    handler: async (ctx, { limit }) => {
      counted("top");
      const rows = await ctx.db.query("Todo", { $order: { rank: "desc" }, $limit: limit });
      return rows.map(({ title }) => title);
    },
  }),
  mine: query({
    handler: (ctx) => {
      counted("mine");
      return ctx.db.count("Todo", { ownerId: ctx.auth.userId ?? "nobody" });
    },
  }),
  maybeMine: query({
    handler: async (ctx) => {
      counted("maybeMine");
      const setting = await ctx.db.get("Setting", "s1");
      return setting?.["isPersonal"] === true ? ctx.auth.userId : "everybody";
    },
  }),
  titleOf: query({
    args: { id: v.string() },
    handler: async (ctx, { id }) => {
      const row = await ctx.db.get("Todo", id);
      if (row === null) throw ctx.error("NO_TODO", "There is no such todo.");
      if (row["title"] === "broken") throw new Error("a secret of the app");
      return row["title"];
    },
  }),
  chance: query({
    handler: async (ctx) => {
      const count = await ctx.db.count("Todo");
      return { count, drawn: [ctx.random(), ctx.random()], id: ctx.uuid(), at: ctx.now };
    },
  }),
  large: query({
    handler: async (ctx) => "x".repeat((await ctx.db.count("Todo")) * MAX_LIVE_RESULT_BYTES),
  }),
  greedy: query({
    handler: async (ctx) => {
      for (let index = 0; index <= MAX_LIVE_READS; index += 1)
        await ctx.db.get("Todo", `t${index}`).catch(() => null);
      return "done";
    },
  }),
  hidden: internalQuery({ handler: () => 1 }),
  change: mutation({ handler: () => 1 }),
  act: action({ handler: () => 1 }),
});

let server: TestServer;
let admin: TestClient;
const sockets: QuerySocket[] = [];
beforeAll(async () => {
  server = await startServer(app);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.socket.close();
  const { rows } = await listed();
  for (const id of rows) await admin.request("DELETE", `/api/entities/Todo/${id}`);
});

async function listed(): Promise<{ readonly rows: readonly string[] }> {
  const { body } = await admin.request("POST", "/api/query/Todo", {});
  const rows = Array.isArray(body) ? (body as { readonly id: string }[]) : [];
  return { rows: rows.map(({ id }) => id) };
}

async function connect(client: TestClient): Promise<QuerySocket> {
  const socket = await QuerySocket.open(client);
  sockets.push(socket);
  return socket;
}

function add(id: string, rank: number, ownerId = "nobody"): Promise<string> {
  return admin.insert("Todo", { id, title: id, rank, ownerId });
}

test("a result is sent immediately, and again when a commit changes it", async () => {
  await add("a1", 1);
  const socket = await connect(await TestClient.guest(server.url));
  const id = socket.call("top", { limit: 2 });
  expect(await socket.told(id, 1)).toEqual([["a1"]]);
  await add("a2", 2);
  await socket.told(id, 2);
  await add("a3", 3);
  await socket.told(id, 3);
  const before = runs.get("top");
  // It sorts behind the last row that was read.
  await add("a0", 0);
  await admin.request("PATCH", "/api/entities/Todo/a1", { title: "hidden" });
  // The row is read, but the result stays the same.
  await admin.request("PATCH", "/api/entities/Todo/a3", { ownerId: "bob" });
  await admin.request("DELETE", "/api/entities/Todo/a3");
  expect(await socket.told(id, 4)).toEqual([["a1"], ["a2", "a1"], ["a3", "a2"], ["a2", "hidden"]]);
  expect((runs.get("top") ?? 0) - (before ?? 0)).toBeLessThanOrEqual(2);
  const seqs = socket.all("result").map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
});

test("a function that does not use the caller runs once for 1,000 subscribers", async () => {
  const guest = await TestClient.guest(server.url);
  const all = await Promise.all(Array.from({ length: 1000 }, () => connect(guest)));
  const ids = all.map((socket) => socket.call("top", { limit: 3 }));
  for (const [index, socket] of all.entries()) await socket.told(ids[index] ?? 0, 1);
  const before = runs.get("top") ?? 0;
  const commits = 5;
  for (let rank = 1; rank <= commits; rank += 1) {
    await add(`b${rank}`, rank);
    for (const [index, socket] of all.entries()) await socket.told(ids[index] ?? 0, rank + 1);
  }
  expect((runs.get("top") ?? 0) - before).toBe(commits);
  for (const [index, socket] of all.entries())
    expect(socket.outcomes(ids[index] ?? 0).at(-1)).toEqual(["b5", "b4", "b3"]);
});

test("a function that uses the caller runs per user, and once for each user", async () => {
  const [ann, bob] = [await TestClient.guest(server.url), await TestClient.guest(server.url)];
  const [first, second, other] = [await connect(ann), await connect(ann), await connect(bob)];
  const ids = [first.call("mine"), second.call("mine"), other.call("mine")] as const;
  for (const [index, socket] of [first, second, other].entries())
    expect(await socket.told(ids[index] ?? 0, 1)).toEqual([0]);
  const before = runs.get("mine") ?? 0;
  await add("c1", 1, ann.userId);
  expect(await first.told(ids[0], 2)).toEqual([0, 1]);
  expect(await second.told(ids[1], 2)).toEqual([0, 1]);
  expect((runs.get("mine") ?? 0) - before).toBe(1);
  expect(other.outcomes(ids[2])).toEqual([0]);
});

test("once it uses the caller, no user gets the result of another", async () => {
  const [ann, bob] = [await TestClient.guest(server.url), await TestClient.guest(server.url)];
  const [one, other] = [await connect(ann), await connect(bob)];
  const ids = [one.call("maybeMine"), other.call("maybeMine")] as const;
  expect(await one.told(ids[0], 1)).toEqual(["everybody"]);
  expect(await other.told(ids[1], 1)).toEqual(["everybody"]);
  expect(new Set([...one.all("result"), ...other.all("result")].map(({ sub }) => sub)).size).toBe(
    1,
  );
  await admin.insert("Setting", { id: "s1", isPersonal: true });
  expect(await one.told(ids[0], 2)).toEqual(["everybody", ann.userId]);
  expect(await other.told(ids[1], 2)).toEqual(["everybody", bob.userId]);
  await admin.request("PATCH", "/api/entities/Setting/s1", { isPersonal: false });
  expect(await one.told(ids[0], 3)).toEqual(["everybody", ann.userId, "everybody"]);
  await other.told(ids[1], 3);
  expect(one.texts).not.toContain(bob.userId);
  expect(other.texts).not.toContain(ann.userId);
  await admin.request("DELETE", "/api/entities/Setting/s1");
});

test("a failure is sent, and a later commit that affects the result can fix it", async () => {
  const socket = await connect(new TestClient(server.url, null));
  const id = socket.call("titleOf", { id: "d1" });
  expect(await socket.told(id, 1)).toEqual([{ failed: "NO_TODO" }]);
  await add("d1", 1);
  await socket.told(id, 2);
  await admin.request("PATCH", "/api/entities/Todo/d1", { title: "broken" });
  await socket.told(id, 3);
  await admin.request("PATCH", "/api/entities/Todo/d1", { title: "fine" });
  expect(await socket.told(id, 4)).toEqual([
    { failed: "NO_TODO" },
    "d1",
    { failed: "HANDLER_ERROR" },
    "fine",
  ]);
  expect(socket.texts).not.toContain("secret");
});

test("an invalid subscription is rejected, with its reason", async () => {
  const socket = await connect(await TestClient.guest(server.url));
  const refused: readonly (readonly [name: string, args: object, code: string])[] = [
    ["nothing", {}, "FN_NOT_FOUND"],
    ["hidden", {}, "FN_NOT_FOUND"],
    ["change", {}, "FN_TYPE_MISMATCH"],
    ["act", {}, "FN_TYPE_MISMATCH"],
    ["top", {}, "INVALID_ARGS"],
    ["top", { limit: 1, other: 2 }, "INVALID_ARGS"],
  ];
  const ids = refused.map(([name, args]) => socket.call(name, args));
  socket.send({ type: "subscribe", id: 7, function: 7 });
  await until(() => socket.all("error").length === refused.length + 1);
  expect(socket.all("error").map(({ id, code }) => [id, code])).toEqual([
    ...refused.map(([, , code], index) => [ids[index] ?? 0, code]),
    [7, "INVALID_QUERY"],
  ]);
  expect(socket.all("error").at(-1)?.message).toContain("function");
  expect(socket.all("joined")).toEqual([]);
});

test("too large a result, and too many reads, are sent as failures", async () => {
  const socket = await connect(new TestClient(server.url, null));
  const [large, greedy] = [socket.call("large"), socket.call("greedy")];
  expect(await socket.told(large, 1)).toEqual([""]);
  expect(await socket.told(greedy, 1)).toEqual([{ failed: "SUBSCRIPTION_LIMIT_REACHED" }]);
  await add("t1", 1);
  expect(await socket.told(large, 2)).toEqual(["", { failed: "RESULT_TOO_LARGE" }]);
  await admin.request("DELETE", "/api/entities/Todo/t1");
  expect(await socket.told(large, 3)).toEqual(["", { failed: "RESULT_TOO_LARGE" }, ""]);
});

test("random values are the same in each run, so that only real changes are sent", async () => {
  type Drawn = { readonly count: number; readonly drawn: number[]; readonly id: string };
  const socket = await connect(new TestClient(server.url, null));
  const id = socket.call("chance");
  await socket.told(id, 1);
  await add("e1", 1);
  const [one, two] = (await socket.told(id, 2)) as Drawn[];
  expect([one?.count, two?.count]).toEqual([0, 1]);
  expect(two).toMatchObject({ drawn: one?.drawn ?? [], id: one?.id ?? "" });
  expect(new Set(one?.drawn).size).toBe(2);
  const called = await admin.request("POST", "/api/fn/chance", {});
  expect(called.body["id"]).not.toBe(one?.id);
});

test("nothing is sent after unsubscribing, and nothing runs without subscribers", async () => {
  const socket = await connect(new TestClient(server.url, null));
  const [one, two] = [socket.call("top", { limit: 9 }), socket.call("top", { limit: 9 })];
  await socket.told(two, 1);
  socket.send({ type: "unsubscribe", id: one });
  await add("one-more", 1);
  await until(() => socket.outcomes(two).at(-1) !== undefined);
  await until(() => JSON.stringify(socket.outcomes(two).at(-1)) === '["one-more"]');
  socket.send({ type: "unsubscribe", id: two });
  socket.send({ type: "ping" });
  await until(() => socket.all("pong").length > 0);
  const before = runs.get("top");
  await add("the-last", 2);
  await aMoment();
  expect(runs.get("top")).toBe(before);
  expect(socket.texts).not.toContain("the-last");
});

test("the end of a session ends its live functions", async () => {
  const ann = await TestClient.guest(server.url);
  const socket = await connect(ann);
  const id = socket.call("mine");
  await socket.told(id, 1);
  await ann.request("DELETE", "/api/auth/session");
  await add("g1", 1, ann.userId);
  await until(() => socket.closed !== null);
  expect(socket.closed).toBe(4401);
  expect(socket.outcomes(id)).toEqual([0]);
});

test("the call limit applies to subscriptions that need a new run", async () => {
  const own = await startServer(app, { PYLON_FN_RATE_LIMIT_MAX: "2" });
  try {
    const guest = await TestClient.guest(own.url);
    const socket = await QuerySocket.open(guest);
    const ids = [1, 2].map((limit) => socket.call("top", { limit }));
    for (const id of ids) await socket.told(id, 1);
    // This one is already running.
    await socket.told(socket.call("top", { limit: 1 }), 1);
    const refused = socket.call("top", { limit: 3 });
    await until(() => socket.all("error").length > 0);
    expect(socket.all("error")).toMatchObject([{ id: refused, code: "RATE_LIMITED" }]);
    expect(socket.all("error")[0]?.retry_after_secs).toBeGreaterThan(0);
    socket.socket.close();
  } finally {
    await own.stop();
  }
});
