import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import {
  createSyncEngine,
  createWriteThroughStorage,
  getServerData,
  IndexedDBPersistence,
  MutationQueue,
  persistChange,
  type MutationQueuePersistence,
  type PendingMutation,
  type SyncEngine,
  type SyncEngineConfig,
} from "@pylonsync/sync";
import { TestClient, until } from "../support/client.ts";
import { useFakeIndexedDb } from "../support/fake-indexed-db.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

// The members of the engine and its parts that clients of the public system call.

useFakeIndexedDb();

const app = appOf(
  buildManifest({
    name: "todos",
    version: "1.0.0",
    entities: [
      entity("Todo", { title: field.string(), ownerId: field.string().owner() }),
      entity("Notice", { text: field.string() }),
    ],
    policies: [
      policy({ name: "own", entity: "Todo", allow: "auth.userId == data.ownerId" }),
      policy({ name: "read", entity: "Notice", allow: "true" }),
    ],
  }),
);

let server: TestServer;
let ann: TestClient;
let bob: TestClient;
const engines: SyncEngine[] = [];

beforeAll(async () => {
  server = await startServer(app);
  [ann, bob] = await Promise.all([TestClient.guest(server.url), TestClient.guest(server.url)]);
  await ann.insert("Todo", { title: "milk" });
  await ann.insert("Todo", { title: "eggs" });
  await bob.insert("Todo", { title: "tea" });
  await ann.insert("Notice", { text: "open" });
});
afterEach(() => {
  for (const engine of engines.splice(0)) engine.stop();
});
afterAll(() => server.stop());

function engineOf(options: Partial<SyncEngineConfig> = {}): SyncEngine {
  const engine = createSyncEngine(server.url, {
    storage: createWriteThroughStorage({}, () => undefined),
    persist: false,
    reconnectDelay: 30,
    ...options,
  });
  engines.push(engine);
  return engine;
}

const titles = (engine: SyncEngine): string[] =>
  engine.store
    .list("Todo")
    .map(({ title }) => String(title))
    .toSorted((a, b) => a.localeCompare(b));

test("pull uses a token that the app itself has put into the storage", async () => {
  const storage = createWriteThroughStorage({}, () => undefined);
  const engine = engineOf({ storage });
  engine.start();
  await until(() => engine.connected);
  expect([titles(engine), engine.store.list("Notice").length]).toEqual([[], 1]);
  storage.set("pylon_token", ann.token ?? "");
  await engine.pull();
  expect(engine.session.current.userId).toBe(ann.userId);
  expect(titles(engine)).toEqual(["eggs", "milk"]);
  storage.set("pylon_token", bob.token ?? "");
  await engine.pull();
  expect(titles(engine)).toEqual(["tea"]);
  // The engine is also live as the new user.
  const id = await bob.insert("Todo", { title: "rice" });
  await until(() => titles(engine).includes("rice"));
  await bob.request("DELETE", `/api/entities/Todo/${id}`);
});

test("pull signs in again with a new token after the session has ended", async () => {
  const gone = await TestClient.guest(server.url);
  const storage = createWriteThroughStorage({ pylon_token: gone.token ?? "" }, () => undefined);
  const engine = engineOf({ storage });
  engine.start();
  await until(() => engine.connected);
  await gone.request("DELETE", "/api/auth/session");
  await until(() => engine.status.connection === "unauthorized");
  await engine.pull();
  expect(engine.status.connection).toBe("unauthorized");
  storage.set("pylon_token", bob.token ?? "");
  await engine.pull();
  expect([engine.session.current.userId, titles(engine)]).toEqual([bob.userId, ["tea"]]);
});

test("pull loads what is new, for a live engine and for one that is not started", async () => {
  const live = engineOf({ token: bob.token ?? "" });
  live.start();
  await until(() => live.connected);
  const still = engineOf({ token: bob.token ?? "" });
  await still.pull();
  expect([titles(still), still.connected]).toEqual([["tea"], false]);
  const id = await bob.insert("Todo", { title: "salt" });
  await Promise.all([live.pull(), still.pull()]);
  expect([titles(live), titles(still)]).toEqual([
    ["salt", "tea"],
    ["salt", "tea"],
  ]);
  await bob.request("DELETE", `/api/entities/Todo/${id}`);
  await still.pull();
  expect(titles(still)).toEqual(["tea"]);
});

test("pull and resetReplica neither reject nor wait if the server is unreachable", async () => {
  const gone = engineOf({ baseUrl: "http://127.0.0.1:9" });
  await gone.pull();
  gone.start();
  await gone.pull();
  await gone.resetReplica();
  const waiting = gone.pull();
  gone.stop();
  await waiting;
  expect(gone.status.ready).toBe(false);
});

test("resetReplica and clearAll load the server's rows again", async () => {
  const engine = engineOf({ token: ann.token ?? "" });
  engine.start();
  await engine.pull();
  engine.store.applyChange({ entity: "Todo", row_id: "x", kind: "insert", data: { title: "own" } });
  expect(titles(engine)).toEqual(["eggs", "milk", "own"]);
  await engine.resetReplica();
  expect(titles(engine)).toEqual(["eggs", "milk"]);
  engine.store.clearAll();
  expect(titles(engine)).toEqual([]);
  await until(() => titles(engine).length === 2);
});

test("a row that the app added itself is replaced by the server's row of the same id", async () => {
  const engine = engineOf({ token: bob.token ?? "" });
  engine.start();
  await engine.pull();
  const change = { seq: 0, entity: "Todo", kind: "insert", timestamp: "" } as const;
  const id = await bob.insert("Todo", { title: "first" });
  await until(() => titles(engine).includes("first"));
  engine.store.applyChange({ ...change, row_id: id, data: { title: "mine" } });
  engine.store.notify();
  expect(titles(engine)).toEqual(["mine", "tea"]);
  await bob.request("PATCH", `/api/entities/Todo/${id}`, { title: "theirs" });
  await until(() => titles(engine).includes("theirs"));
  expect(titles(engine)).toEqual(["tea", "theirs"]);
  await bob.request("DELETE", `/api/entities/Todo/${id}`);
});

test("getServerData reads what the caller may read, and hydrate shows it immediately", async () => {
  const data = await getServerData(server.url, ["Todo", "Nope"], { token: ann.token });
  expect(data.entities["Todo"]?.map(({ title }) => title).toSorted()).toEqual(["eggs", "milk"]);
  expect([data.entities["Nope"], data.session?.userId]).toEqual([[], ann.userId]);
  const engine = engineOf({ token: ann.token ?? "" });
  engine.hydrate(data);
  expect(titles(engine)).toEqual(["eggs", "milk"]);
  expect(engine.status).toMatchObject({ ready: true, stale: true });
  engine.start();
  await until(() => engine.store.list("Notice").length === 1);
  expect([titles(engine), engine.status.stale]).toEqual([["eggs", "milk"], false]);
  // The rows that have arrived since then are newer than the page.
  engine.hydrate({ entities: { Todo: [] } });
  expect(titles(engine)).toEqual(["eggs", "milk"]);
});

test("hydrated rows of one user are never shown with another user's session", async () => {
  const data = await getServerData(server.url, ["Todo"], { token: ann.token });
  const engine = engineOf({ token: bob.token ?? "" });
  const shown: string[][] = [];
  engine.session.onChange(() => shown.push(titles(engine)));
  engine.hydrate(data);
  engine.store.subscribe(() => {
    if (engine.session.current.userId === bob.userId) shown.push(titles(engine));
  });
  engine.start();
  await until(() => titles(engine).includes("tea"));
  expect(shown.slice(1).every((list) => !list.includes("milk"))).toBe(true);
  expect(titles(engine)).toEqual(["tea"]);
});

test("if the server is unreachable, the page is rendered without rows", async () => {
  const data = await getServerData("http://127.0.0.1:9", ["Todo"]);
  expect(data).toEqual({ entities: { Todo: [] }, cursor: { last_seq: 0 }, session: null });
});

test("loadPage and createInfiniteQuery page through the server's list", async () => {
  const engine = engineOf({ token: ann.token ?? "" });
  const order = { title: "desc" } as const;
  const page = await engine.loadPage<{ title: string }>("Todo", { limit: 1, order });
  expect([page.data[0]?.title, page.total, page.hasMore]).toEqual(["milk", 1, true]);
  const query = engine.createInfiniteQuery<{ title: string }>("Todo", { pageSize: 1, order });
  await query.loadMore();
  await query.loadMore();
  expect([query.data.map(({ title }) => title), query.hasMore]).toEqual([["milk", "eggs"], false]);
  await expect(engine.loadPage("Nope")).rejects.toMatchObject({ code: "ENTITY_NOT_FOUND" });
});

const write = (id: string): Omit<PendingMutation, "status"> => ({
  id,
  change: { entity: "Todo", row_id: id, kind: "insert", data: { title: id }, op_id: id },
  userId: "ann",
});

test("an app can settle, remove and persist the writes of a queue itself", async () => {
  const queue = new MutationQueue();
  const refused: string[] = [];
  queue.onRefused(({ message }) => refused.push(message));
  const kept: PendingMutation[][] = [];
  const persistence: MutationQueuePersistence = {
    saveAll: async (writes) => void kept.push([...writes]),
    loadAll: async () => kept.at(-1) ?? [],
  };
  queue.attachPersistence(persistence);
  for (const id of ["a", "b", "c", "d"]) queue.add(write(id));
  const [a, b, c] = ["a", "b", "c"].map((id) => queue.settled(id));
  queue.markApplied("a");
  queue.markFailed("b", "no room");
  queue.remove("c");
  await Promise.all([a, c]);
  await expect(b).rejects.toMatchObject({ code: "REFUSED", message: "no room", rowId: "b" });
  expect([queue.all().map(({ id }) => id), refused]).toEqual([["d"], ["no room"]]);
  queue.answer([{ op_id: "d", status: "applied" }], 9, 0);
  expect(queue.all()).toHaveLength(1);
  queue.clear();
  expect(queue.all()).toEqual([]);
  queue.add(write("e"));
  await until(() => kept.at(-1)?.[0]?.id === "e");
  const later = new MutationQueue();
  later.attachPersistence(persistence);
  await later.hydrate();
  expect(later.pending().map(({ id, userId }) => [id, userId])).toEqual([["e", "ann"]]);
});

test("a queue persisted by the app is sent by the next engine, as its user", async () => {
  const kept = new IndexedDBPersistence("members-queue");
  await kept.open();
  const offline = engineOf({ baseUrl: "http://127.0.0.1:9" });
  offline.mutations.attachPersistence(kept.mutations);
  const mine = { ...write("11111111111111111111111111111111"), userId: ann.userId };
  const theirs = { ...write("22222222222222222222222222222222"), userId: bob.userId };
  offline.mutations.add(mine);
  offline.mutations.add(theirs);
  await until(async () => (await kept.mutations.loadAll()).length === 2);
  const engine = engineOf({ token: ann.token ?? "" });
  engine.mutations.attachPersistence(kept.mutations);
  await engine.mutations.hydrate();
  engine.start();
  await until(() => engine.status.pending === 0 && engine.connected);
  await until(() => titles(engine).includes(mine.id));
  expect(titles(engine)).not.toContain(theirs.id);
  await until(async () => (await kept.mutations.loadAll()).length === 0);
  await ann.request("DELETE", `/api/entities/Todo/${mine.id}`);
  kept.close();
});

test("IndexedDBPersistence stores rows and a cursor, and applies changes to a row", async () => {
  const kept = new IndexedDBPersistence("members-rows");
  await kept.open();
  await kept.saveRow("Todo", "1", { title: "milk" });
  const change = { entity: "Todo", row_id: "1", kind: "update", data: { done: true } } as const;
  await persistChange(kept, change);
  await persistChange(kept, { ...change, row_id: "2", kind: "insert", data: { title: "tea" } });
  await persistChange(kept, { ...change, entity: "Notice", row_id: "1", kind: "insert" });
  expect(await kept.getRow("Todo", "1")).toEqual({ id: "1", title: "milk", done: true });
  expect(await kept.loadAllEntities()).toEqual({
    Todo: [
      { id: "1", title: "milk", done: true },
      { id: "2", title: "tea" },
    ],
    Notice: [{ id: "1", done: true }],
  });
  await persistChange(kept, { entity: "Todo", row_id: "1", kind: "delete" });
  await kept.deleteRow("Todo", "2");
  expect(await kept.getRow("Todo", "1")).toBeNull();
  expect((await kept.loadAll()).map(({ entity: name, id }) => [name, id])).toEqual([
    ["Notice", "1"],
  ]);
  expect(await kept.loadCursor()).toBeNull();
  await kept.saveCursor({ last_seq: 7 });
  expect(await kept.loadCursor()).toEqual({ last_seq: 7 });
  await kept.clear();
  expect([await kept.loadAll(), await kept.loadCursor()]).toEqual([[], null]);
  kept.close();
});
