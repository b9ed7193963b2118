import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { createSyncEngine, createWriteThroughStorage, type SyncEngine } from "@pylonsync/sync";
import { pylonCollectionOptions } from "@pylonsync/tanstack-db";
import { createCollection, createLiveQueryCollection, eq } from "@tanstack/db";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

interface Todo {
  readonly id: string;
  readonly title: string;
  readonly done: boolean;
  readonly listId: string;
}
interface List {
  readonly id: string;
  readonly name: string;
}

const app = appOf(
  buildManifest({
    name: "collections",
    version: "1.0.0",
    entities: [
      entity("Todo", {
        title: field.string(),
        done: field.bool().default(false),
        listId: field.id("List"),
      }),
      entity("List", { name: field.string() }),
    ],
    policies: [
      policy({ name: "todos", entity: "Todo", allow: "data.title != 'forbidden'" }),
      policy({ name: "lists", entity: "List", allow: "true" }),
    ],
  }),
);

let server: TestServer;
let admin: TestClient;
let engine: SyncEngine;
beforeAll(async () => {
  server = await startServer(app);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());
afterEach(() => engine.stop());

async function start(sync: "all" | "queries"): Promise<string> {
  const { token } = await TestClient.guest(server.url);
  engine = createSyncEngine(server.url, {
    sync,
    token: token ?? "",
    persist: false,
    reconnectDelay: 20,
    storage: createWriteThroughStorage({}, () => undefined),
  });
  engine.start();
  return admin.insert("List", { name: "Shop" });
}

const todosOf = (listId: string) =>
  createCollection(pylonCollectionOptions<Todo>({ engine, entity: "Todo", where: { listId } }));

test.each(["all", "queries"] as const)("a join is live, with a replica of %s", async (sync) => {
  const listId = await start(sync);
  const id = await admin.insert("Todo", { title: "tea", listId });
  const todos = todosOf(listId);
  const lists = createCollection(pylonCollectionOptions<List>({ engine, entity: "List" }));
  const joined = createLiveQueryCollection((q) =>
    q
      .from({ todo: todos })
      .innerJoin({ list: lists }, ({ todo, list }) => eq(todo.listId, list.id))
      .where(({ todo }) => eq(todo.done, false))
      .select(({ todo, list }) => ({ id: todo.id, title: todo.title, list: list.name })),
  );
  await joined.preload();
  const shown = (): string =>
    joined.toArray
      .map(({ title, list }) => `${title} of ${list}`)
      .sort()
      .join(", ");
  await until(() => shown() === "tea of Shop");
  await admin.insert("Todo", { title: "milk", listId });
  await until(() => shown() === "milk of Shop, tea of Shop");
  await admin.request("PATCH", `/api/entities/List/${listId}`, { name: "Market" });
  await until(() => shown() === "milk of Market, tea of Market");
  await admin.request("PATCH", `/api/entities/Todo/${id}`, { done: true });
  await until(() => shown() === "milk of Market");
  await admin.request("DELETE", `/api/entities/Todo/${id}`);
  await until(() => todos.size === 1);
});

test("writes show immediately and reach the server; a rejected one is rolled back", async () => {
  const listId = await start("queries");
  const todos = todosOf(listId);
  await todos.preload();
  const refused: string[] = [];
  engine.onError(({ code }) => refused.push(code));
  const inserted = todos.insert({ id: `tea-${listId}`, title: "tea", done: false, listId });
  expect(todos.toArray).toMatchObject([{ title: "tea" }]);
  await inserted.isPersisted.promise;
  expect(todos.toArray).toMatchObject([{ title: "tea" }]);
  await engine.flushed();
  const path = `/api/entities/Todo/tea-${listId}`;
  expect((await admin.request("GET", path)).body).toMatchObject({ title: "tea", done: false });
  const updated = todos.update(`tea-${listId}`, (todo) => Object.assign(todo, { done: true }));
  expect(todos.get(`tea-${listId}`)?.done).toBe(true);
  await updated.isPersisted.promise;
  await engine.flushed();
  expect((await admin.request("GET", path)).body).toMatchObject({ done: true });
  todos.insert({ id: `no-${listId}`, title: "forbidden", done: false, listId });
  expect(todos.size).toBe(2);
  await until(() => refused.length === 1 && todos.size === 1);
  todos.delete(`tea-${listId}`);
  expect(todos.size).toBe(0);
  await until(async () => (await admin.request("GET", path)).status === 404);
  expect(todos.size).toBe(0);
});

test("an invalid filter fails the collection with its reason", async () => {
  await start("queries");
  const where = { $no: 1 };
  const todos = createCollection(pylonCollectionOptions<Todo>({ engine, entity: "Todo", where }));
  await expect(todos.preload()).rejects.toThrow("$no");
});

test("a collection that is cleaned up unsubscribes from its rows", async () => {
  const listId = await start("queries");
  const todos = todosOf(listId);
  await admin.insert("Todo", { title: "tea", listId });
  await todos.preload();
  let listeners = 0;
  const query = engine.query.bind(engine);
  engine.query = (name, options) => {
    const list = query(name, options);
    return {
      isReady: () => list.isReady(),
      getSnapshot: () => list.getSnapshot(),
      subscribe: (listener) => {
        const stop = list.subscribe(listener);
        listeners += 1;
        return () => {
          listeners -= 1;
          stop();
        };
      },
    };
  };
  const other = todosOf(listId);
  await other.preload();
  await until(() => other.size === 1);
  expect(listeners).toBe(1);
  await other.cleanup();
  expect(listeners).toBe(0);
});
