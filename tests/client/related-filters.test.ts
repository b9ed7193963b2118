import { buildManifest, entity, field, relation } from "@pylonsync/sdk";
import {
  createSyncEngine,
  createWriteThroughStorage,
  systemPlatform,
  type LiveList,
  type QueryOptions,
  type Row,
  type Socket,
  type SyncEngine,
} from "@pylonsync/sync";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { TestClient, until } from "../support/client.ts";
import { useFakeIndexedDb } from "../support/fake-indexed-db.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

// Live queries with filters over related rows, where a client holds only the results of its
// queries: the server determines which rows match. `includes.test.ts` compares many of them with
// the server's results.

const app = appOf(
  buildManifest({
    name: "library",
    version: "1.0.0",
    access: "public",
    entities: [
      entity(
        "Author",
        { name: field.string() },
        { relations: [relation({ name: "books", target: "Book", field: "authorId", many: true })] },
      ),
      entity(
        "Book",
        { title: field.string(), pages: field.int(), authorId: field.id("Author").optional() },
        {
          relations: [
            relation({ name: "author", target: "Author", field: "authorId" }),
            relation({ name: "loans", target: "Loan", field: "bookId", many: true }),
          ],
        },
      ),
      entity("Loan", { bookId: field.id("Book"), until: field.string() }),
    ],
  }),
);

useFakeIndexedDb();

const cleanups: (() => unknown)[] = [];
let server: TestServer;
let user: TestClient;
beforeEach(async () => {
  server = await startServer(app);
  user = await TestClient.guest(server.url);
  cleanups.push(() => server.stop());
  await user.insert("Author", { id: "ann", name: "Ann" });
  await user.insert("Author", { id: "bob", name: "Bob" });
  for (const [id, authorId, pages] of [
    ["a1", "ann", 1],
    ["a2", "ann", 2],
    ["b1", "bob", 3],
  ] as const)
    await user.insert("Book", { id, title: id, authorId, pages });
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

interface Client {
  readonly engine: SyncEngine;
  /** Closes the connection, and prevents a reconnect until `allow` is called. */
  readonly lose: () => void;
  readonly allow: () => void;
}

function connect({ persist = false, offline = false } = {}): Client {
  const sockets: Socket[] = [];
  let isOffline = offline;
  const engine = createSyncEngine(server.url, {
    sync: "queries",
    token: user.token ?? "",
    appName: `related-${user.userId}`,
    reconnectDelay: 20,
    persist,
    storage: createWriteThroughStorage({}, () => undefined),
    platform: {
      openSocket: (url, protocols) => {
        if (isOffline) throw new Error("There is no network.");
        const socket = systemPlatform.openSocket(url, protocols);
        sockets.push(socket);
        return socket;
      },
      fetch: (url, init) =>
        isOffline ? Promise.reject(new TypeError("There is no network.")) : fetch(url, init),
    },
  });
  engine.start();
  cleanups.push(() => engine.stop());
  return {
    engine,
    lose: () => {
      isOffline = true;
      sockets.at(-1)?.close();
    },
    allow: () => (isOffline = false),
  };
}

function show({ engine }: Client, of: string, options: QueryOptions = {}): LiveList {
  const list = engine.query(of, options);
  cleanups.push(list.subscribe(() => undefined));
  return list;
}

const ids = (list: LiveList): string[] => list.getSnapshot().map(({ id }) => id);
const shows = (list: LiveList, ...expected: string[]): Promise<void> =>
  until(() => list.isReady() === true && Bun.deepEquals(ids(list), expected));
const update = (of: string, id: string, data: object): Promise<unknown> =>
  user.request("PATCH", `/api/entities/${of}/${id}`, data);

test("rows enter and leave with related rows that the client does not hold", async () => {
  const client = connect();
  const all = show(client, "Book");
  const ofAnn = show(client, "Book", { where: { author: { name: "Ann" } } });
  const others = show(client, "Book", { where: { $not: { author: { name: "Ann" } } } });
  await shows(ofAnn, "a1", "a2");
  await shows(others, "b1");
  expect(client.engine.store.list("Author")).toEqual([]);
  const before = all.getSnapshot();
  await update("Author", "bob", { name: "Ann" });
  await shows(ofAnn, "a1", "a2", "b1");
  await shows(others);
  // The books themselves have not changed.
  expect(all.getSnapshot()).toBe(before);
  await update("Author", "ann", { name: "Anna" });
  await shows(ofAnn, "b1");
  await shows(others, "a1", "a2");
});

test("a window is filled again when a related row removes one of its rows", async () => {
  const client = connect();
  const longest = show(client, "Book", {
    where: { author: { name: { $ne: "Cleo" } } },
    orderBy: { pages: "desc" },
    limit: 2,
  });
  await shows(longest, "b1", "a2");
  await update("Author", "bob", { name: "Cleo" });
  await shows(longest, "a2", "a1");
});

test("included relations may filter over related rows as well", async () => {
  const client = connect();
  const all = show(client, "Book");
  const authors = show(client, "Author", { include: { books: { where: { loans: {} } } } });
  const lent = (): unknown[] =>
    authors.getSnapshot().map(({ books }) => (books as readonly Row[]).map(({ id }) => id));
  await until(() => authors.isReady() === true && all.isReady() === true);
  expect(lent()).toEqual([[], []]);
  const loan = await user.insert("Loan", { bookId: "a2", until: "tomorrow" });
  await until(() => Bun.deepEquals(lent(), [["a2"], []]));
  await user.request("DELETE", `/api/entities/Loan/${loan}`);
  await until(() => Bun.deepEquals(lent(), [[], []]));
});

test("own writes show immediately, as far as the held rows determine the result", async () => {
  const client = connect();
  const ofAnn = show(client, "Book", { where: { author: { name: "Ann" } } });
  await shows(ofAnn, "a1", "a2");
  client.lose();
  await until(() => client.engine.status.connection === "offline");
  await client.engine.update("Book", "a1", { pages: 100 });
  expect(ofAnn.getSnapshot().map(({ pages }) => pages)).toEqual([100, 2]);
  await client.engine.delete("Book", "a2");
  expect(ids(ofAnn)).toEqual(["a1"]);
  // The client does not hold the author, so only the server can determine the match.
  const made = await client.engine.insert("Book", { title: "new", pages: 1, authorId: "ann" });
  expect(ids(ofAnn)).toEqual(["a1"]);
  client.allow();
  await until(() => Bun.deepEquals(new Set(ids(ofAnn)), new Set(["a1", made])));
  const authors = show(client, "Author");
  await until(() => authors.isReady() === true);
  client.lose();
  const second = await client.engine.insert("Book", { title: "more", pages: 1, authorId: "ann" });
  expect(new Set(ids(ofAnn))).toEqual(new Set(["a1", made, second]));
});

test("after a loss it resumes with what has changed meanwhile", async () => {
  const client = connect();
  const ofAnn = show(client, "Book", { where: { author: { name: "Ann" } } });
  const all = show(client, "Book");
  await shows(ofAnn, "a1", "a2");
  await shows(all, "a1", "a2", "b1");
  client.lose();
  await until(() => client.engine.status.connection === "offline");
  await update("Author", "ann", { name: "Anna" });
  await update("Author", "bob", { name: "Ann" });
  expect(ids(ofAnn)).toEqual(["a1", "a2"]);
  client.allow();
  await shows(ofAnn, "b1");
  await shows(all, "a1", "a2", "b1");
});

test("a later visit without a network shows what the last one held", async () => {
  const first = connect({ persist: true });
  const asked = [{ where: { author: { name: "Ann" } } }, {}];
  const lists = asked.map((options) => show(first, "Book", options));
  await until(() => lists.every((list) => list.isReady() === true));
  const disk = await systemPlatform.openDisk?.(`related-${user.userId}`, server.url);
  await until(async () => {
    const kept = await disk?.readReplica();
    return kept?.rows.length === 3 && kept.head.queries?.length === 2;
  });
  first.engine.stop();
  disk?.close();
  const second = connect({ persist: true, offline: true });
  const [ofAnn, all] = asked.map((options) => show(second, "Book", options));
  await until(() => all?.getSnapshot().length === 3);
  expect(ofAnn === undefined ? [] : ids(ofAnn)).toEqual(["a1", "a2"]);
});

test("if all rows are held, writes to related rows show immediately", async () => {
  const engine = createSyncEngine(server.url, {
    token: user.token ?? "",
    appName: `related-all-${user.userId}`,
    persist: false,
    storage: createWriteThroughStorage({}, () => undefined),
  });
  engine.start();
  cleanups.push(() => engine.stop());
  const ofAnn = engine.query("Book", { where: { author: { name: "Ann" } } });
  let told = 0;
  cleanups.push(ofAnn.subscribe(() => (told += 1)));
  await until(() => engine.status.ready && ids(ofAnn).length === 2);
  told = 0;
  void engine.update("Author", "bob", { name: "Ann" });
  expect([ids(ofAnn), told]).toEqual([["a1", "a2", "b1"], 1]);
  const rows = ofAnn.getSnapshot();
  await engine.flushed();
  expect(ofAnn.getSnapshot()).toBe(rows);
});

test("rejects an unknown relation and an invalid filter, and names the place", async () => {
  const client = connect();
  const ready = show(client, "Book");
  await until(() => ready.isReady() === true);
  expect(() => client.engine.query("Book", { where: { writer: { name: "Ann" } } })).toThrow(
    expect.objectContaining({ code: "INVALID_QUERY", field: "writer.name" }),
  );
  expect(() => client.engine.query("Book", { where: { author: "Ann" } })).toThrow(
    expect.objectContaining({ code: "INVALID_QUERY", field: "author" }),
  );
});
