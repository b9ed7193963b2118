import { afterAll, beforeAll, expect, test } from "bun:test";
import { action, mutation, v } from "@pylonsync/functions";
import {
  createSession,
  createTypedDb,
  db,
  defineRoute,
  fetchById,
  fetchList,
  getAuthContext,
  getReactStorage,
  getServerData,
  init,
  insert,
  listFns,
  LocalStore,
  MutationQueue,
  PylonClientError,
  refreshSession,
  remove,
  setReactStorage,
  startSessionAutoRefresh,
  storageKey,
  streamFn,
  SyncEngine,
  update,
  uploadFile,
  uploadFileMultipart,
  type SessionToken,
} from "@pylonsync/react";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { createSyncEngine, createWriteThroughStorage, systemPlatform } from "@pylonsync/sync";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// What apps of the public system import from @pylonsync/react and call outside of components.

interface Todo {
  id: string;
  title: string;
  ownerId: string;
}

const app = appOf(
  buildManifest({
    name: "todos",
    version: "1.0.0",
    entities: [
      entity("User", { email: field.string().unique() }),
      entity("Todo", { title: field.string(), ownerId: field.string().owner() }),
    ],
    policies: [policy({ name: "own", entity: "Todo", allow: "auth.userId == data.ownerId" })],
  }),
  {
    addTodo: mutation({
      args: { title: v.string() },
      handler: async (ctx, { title }) => ({
        id: await ctx.db.insert("Todo", { title, ownerId: ctx.auth.userId ?? "" }),
      }),
    }),
    count: action({
      args: { to: v.int() },
      handler: async (ctx, { to }) => {
        for (let number = 1; number <= to; number += 1) await ctx.stream.write(`${number}`);
        return { total: to, by: ctx.auth.userId };
      },
    }),
  },
);

let server: TestServer;
let ann: TestClient;
let userId: string;

beforeAll(async () => {
  server = await startServer(app);
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  userId = await admin.insert("User", { email: "ann@example.com" });
  ann = await TestClient.guest(server.url);
  setReactStorage(createWriteThroughStorage({ pylon_token: ann.token ?? "" }, () => undefined));
  init({ baseUrl: server.url, persist: false });
});
afterAll(async () => {
  db.sync.stop();
  init();
  setReactStorage(createWriteThroughStorage({}, () => undefined));
  await server.stop();
});

test("rows are read and written on the server, as the signed-in user", async () => {
  const { id } = await insert<Todo>("Todo", { title: "milk" });
  expect(await fetchById<Todo>("Todo", id)).toEqual({ id, title: "milk", ownerId: ann.userId });
  expect(await update<Todo>("Todo", id, { title: "tea" })).toEqual({ updated: true });
  await insert<Todo>("Todo", { title: "eggs" });
  const all = await fetchList<Todo>("Todo");
  expect(all.map(({ title }) => title)).toEqual(["tea", "eggs"]);
  expect(await fetchList<Todo>("Todo", { limit: 1, offset: 1 })).toEqual(all.slice(1));
  expect(await fetchList<Todo>("Todo", { token: null })).toEqual([]);
  expect(await fetchById<Todo>("Todo", id, { token: null })).toBeNull();
  expect(await fetchById("Nope", id)).toBeNull();
  await expect(update("Todo", "nope", { title: "x" })).rejects.toMatchObject({ status: 404 });
  await expect(insert("Todo", {})).rejects.toBeInstanceOf(PylonClientError);
  for (const row of all) expect(await remove("Todo", row.id)).toEqual({ deleted: true });
  expect(await fetchList("Todo")).toEqual([]);
});

test("sessions are created, inspected, refreshed and expired", async () => {
  expect((await getAuthContext()).user_id).toBe(ann.userId);
  expect((await getAuthContext({ token: null })).user_id).toBeNull();
  await expect(createSession(ann.userId)).rejects.toMatchObject({ code: "FORBIDDEN" });
  const made = await createSession(userId, { token: ADMIN_TOKEN });
  expect((await getAuthContext({ token: made.token })).user_id).toBe(userId);
  const renewed = await refreshSession(made.token);
  expect(renewed?.user_id).toBe(userId);
  expect(renewed?.expires_at).toBeGreaterThan(Date.now() / 1000);
  expect((await getAuthContext({ token: renewed?.token })).user_id).toBe(userId);
  expect(await refreshSession("no such token")).toBeNull();
});

/** An engine whose clock only moves when the test moves it. */
function clockEngine(baseUrl: string) {
  let now = Date.now();
  let timers: { readonly at: number; readonly run: () => void }[] = [];
  const platform = {
    ...systemPlatform,
    now: () => now,
    after: (ms: number, run: () => void) => {
      const timer = { at: now + ms, run };
      timers.push(timer);
      return () => (timers = timers.filter((other) => other !== timer));
    },
  };
  const sync = createSyncEngine(baseUrl, { platform, persist: false });
  const move = (ms: number): void => {
    now += ms;
    const due = timers.filter(({ at }) => at <= now);
    timers = timers.filter(({ at }) => at > now);
    for (const { run } of due) run();
  };
  return { sync, move, waiting: () => timers.map(({ at }) => at - now) };
}

test("a session is refreshed before each expiry until the refresh is stopped", async () => {
  const { sync, move, waiting } = clockEngine(server.url);
  const first = await createSession(userId, { token: ADMIN_TOKEN });
  const renewed: SessionToken[] = [];
  const stop = startSessionAutoRefresh(first, { sync, onRefresh: (one) => renewed.push(one) });
  // A browser's timer lasts at most about 24 days, so it is set again.
  for (let turn = 0; renewed.length === 0 && turn < 4; turn += 1) {
    expect(waiting().every((ms) => ms <= 2 ** 31)).toBe(true);
    const [left = 0] = waiting();
    move(left);
    await until(() => renewed.length > 0 || waiting().some((ms) => ms > 3_600_000));
  }
  expect(renewed).toHaveLength(1);
  expect(renewed[0]?.token).not.toBe(first.token);
  stop();
  expect(waiting()).toEqual([]);
});

test("an expired session is reported once, and an unreachable server is retried", async () => {
  const { sync, move, waiting } = clockEngine(server.url);
  const expired: string[] = [];
  const soon = { expires_at: sync.platform.now() / 1000 };
  const options = { sync, onRefresh: () => expired.push("renewed") };
  startSessionAutoRefresh(
    { token: "over", ...soon },
    { ...options, onExpired: () => expired.push("over") },
  );
  move(1_000);
  await until(() => expired.length > 0);
  expect([expired, waiting()]).toEqual([["over"], []]);

  const away = clockEngine("http://127.0.0.1:9");
  const ends = { token: "t", expires_at: away.sync.platform.now() / 1000 + 90 };
  startSessionAutoRefresh(ends, {
    sync: away.sync,
    onRefresh: () => expired.push("renewed"),
    onExpired: () => expired.push("away"),
  });
  away.move(1_000);
  await until(() => away.waiting().includes(60_000));
  away.move(60_000);
  await until(() => away.waiting().includes(60_000));
  expect(expired).toEqual(["over"]);
  away.move(60_000);
  await until(() => expired.length === 2);
  expect(expired).toEqual(["over", "away"]);
});

test("a streamed call yields its chunks, and returns its result", async () => {
  const stream = streamFn("count", { to: 3 });
  const chunks: string[] = [];
  let step = await stream.next();
  for (; step.done !== true; step = await stream.next()) chunks.push(step.value);
  expect([chunks, step.value]).toEqual([["1", "2", "3"], { total: 3, by: ann.userId }]);
});

test("listFns is only for the admin", async () => {
  expect(await listFns({ token: ADMIN_TOKEN })).toEqual([
    { name: "addTodo", fn_type: "mutation" },
    { name: "count", fn_type: "action" },
  ]);
  await expect(listFns()).rejects.toMatchObject({ status: 403 });
});

test("files are uploaded whole, with their names, by both functions", async () => {
  const text = "Milk and eggs";
  const bytes = new TextEncoder().encode(text);
  const uploads = [
    await uploadFile(new File([text], "liste \u00e4.txt", { type: "text/plain" })),
    await uploadFile(bytes, { filename: "list.txt", contentType: "text/plain" }),
    await db.uploadFile(new Blob([text], { type: "text/plain" })),
    await uploadFileMultipart(new File([text], "list.txt", { type: "text/plain" })),
    await db.uploadFileMultipart(bytes, { filename: "list.txt", contentType: "text/plain" }),
  ];
  for (const { id, url, size } of uploads) {
    expect([id.length > 0, size]).toEqual([true, bytes.length]);
    const headers = { Authorization: `Bearer ${ann.token}` };
    const response = await fetch(new URL(url, server.url), { headers });
    expect(await response.text()).toBe(text);
    expect(response.headers.get("Content-Type")).toContain("text/plain");
  }
  await expect(uploadFile(bytes, { token: null })).rejects.toMatchObject({ status: 401 });
  const sync = createSyncEngine("http://127.0.0.1:9", { persist: false });
  await expect(uploadFile(bytes, { sync })).rejects.toMatchObject({ code: "UNREACHABLE" });
});

test("the storage of the engine is the one that was set", () => {
  expect(getReactStorage().get(storageKey("token"))).toBe(ann.token);
  expect(db.sync.storage).toBe(getReactStorage());
  getReactStorage().set("own", "text");
  expect(db.sync.storage.get("own")).toBe("text");
});

test("a typed db reads and writes with the types of its schema", async () => {
  interface AppSchema {
    entities: { Todo: Todo };
    functions: { addTodo: { input: { title: string }; output: { id: string } } };
    queries: Record<string, never>;
  }
  const todos = createTypedDb<AppSchema>();
  const { id } = await todos.fn("addTodo", { title: "rice" });
  await until(() => todos.untyped.sync.store.get("Todo", id) !== null);
  await todos.update("Todo", id, { title: "salt" });
  const added = await todos.insert("Todo", { title: "tea" });
  await db.sync.flushed();
  const titles = (await fetchList<Todo>("Todo")).map(({ title }) => title);
  expect(titles.toSorted((a, b) => a.localeCompare(b))).toEqual(["salt", "tea"]);
  await Promise.all([todos.delete("Todo", id), todos.delete("Todo", added)]);
  await db.sync.flushed();
  expect(await fetchList("Todo")).toEqual([]);
});

test("exports the parts of the engine, and the metadata of a page", async () => {
  expect(db.sync).toBeInstanceOf(SyncEngine);
  expect(db.sync.store).toBeInstanceOf(LocalStore);
  expect(db.sync.mutations).toBeInstanceOf(MutationQueue);
  const route = { path: "/", mode: "live" } as const;
  expect(defineRoute(route)).toEqual(route);
  const data = await getServerData(server.url, ["Todo"], { token: ann.token });
  expect(data.session?.userId).toBe(ann.userId);
});
