import { afterEach, describe, expect, test } from "bun:test";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import {
  createSyncEngine,
  createWriteThroughStorage,
  upsertRow,
  type SyncEngine,
} from "@pylonsync/sync";
import { TestClient, until } from "../support/client.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const app = appOf(
  buildManifest({
    name: "counters",
    version: "1.0.0",
    access: "public",
    entities: [
      entity(
        "Post",
        {
          likes: field.int().max(100).default(0),
          tags: field.array(field.string()).default([]),
          title: field.string().default(""),
        },
        { timestamps: true },
      ),
      entity("Visit", {
        path: field.string().unique(),
        n: field.int().default(0),
        first: field.string().readonly().optional(),
        last: field.datetime().optional(),
      }),
    ],
  }),
);

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function serve(): Promise<TestServer> {
  const server = await startServer(app);
  cleanups.push(() => server.stop());
  return server;
}

async function connect(url: string, sync: "all" | "queries" = "all"): Promise<SyncEngine> {
  const { token } = await TestClient.guest(url);
  const engine = createSyncEngine(url, {
    sync,
    reconnectDelay: 30,
    storage: createWriteThroughStorage({}, () => undefined),
    token: token ?? "",
  });
  cleanups.push(() => engine.stop());
  engine.start();
  return engine;
}

describe.each(["all", "queries"] as const)("with sync %s", (sync) => {
  test("keeps the offline increments of two clients, and never shows one twice", async () => {
    const { url } = await serve();
    const [ann, bob] = [await connect(url, sync), await connect(url, sync)];
    const id = await ann.insert("Post", {});
    const seen: number[] = [];
    const lists = [ann, bob].map((engine) => {
      const list = engine.query("Post");
      const likes = (): number => Number(list.getSnapshot()[0]?.["likes"] ?? 0);
      cleanups.push(
        list.subscribe(() => {
          if (engine === ann) seen.push(likes());
        }),
      );
      return { list, likes };
    });
    await until(() => lists.every(({ list }) => list.getSnapshot().length === 1));
    bob.stop();
    ann.stop();
    for (let n = 0; n < 3; n += 1) await ann.increment("Post", id, "likes");
    await bob.increment("Post", id, "likes", 10);
    await ann.append("Post", id, "tags", ["a"]);
    await bob.append("Post", id, "tags", ["b"]);
    expect(lists.map(({ likes }) => likes())).toEqual([3, 10]);
    bob.start();
    ann.start();
    await until(() => [ann, bob].every((engine) => engine.mutations.all().length === 0));
    await until(() => lists.every(({ likes }) => likes() === 13));
    for (let n = 0; n < 20; n += 1) void ann.increment("Post", id, "likes");
    await ann.flushed();
    await until(() => lists.every(({ likes }) => likes() === 33));
    await until(() => ann.mutations.all().length === 0);
    expect(seen).toEqual(seen.toSorted((one, other) => one - other));
    const { body } = await new TestClient(url, null).request("GET", `/api/entities/Post/${id}`);
    expect(body["likes"]).toBe(33);
    expect((body["tags"] as string[]).toSorted()).toEqual(["a", "b"]);
  });
});

describe.each(["all", "queries"] as const)("upserts with sync %s", (sync) => {
  test("two clients that were offline upsert one row, and no increment is lost", async () => {
    const { url } = await serve();
    const [first, second] = [await connect(url, sync), await connect(url, sync)];
    const engines = [first, second];
    const lists = engines.map((engine) => {
      const list = engine.query("Visit");
      cleanups.push(list.subscribe(() => undefined));
      return list;
    });
    await until(() => lists.every((list) => list.isReady() !== false));
    await until(() => engines.every(({ status }) => status.ready));
    for (const engine of engines) engine.stop();
    const last = new Date("2026-01-31T12:00:00Z");
    for (const [place, engine] of engines.entries()) {
      const data = { path: "/", n: 1, first: `client ${place}` };
      await upsertRow(engine, "Visit", "path", data, { n: { $increment: 1 } });
      // The replica has the row now: an update is shown.
      await upsertRow(engine, "Visit", ["path"], data, { n: { $increment: 1 }, last });
      expect(lists[place]?.getSnapshot()).toMatchObject([{ n: 2, last: last.toISOString() }]);
    }
    for (const engine of engines) {
      engine.start();
      await until(() => engine.mutations.all().length === 0);
    }
    await until(() => lists.every((list) => list.getSnapshot()[0]?.["n"] === 4));
    const row = { path: "/", n: 4, first: "client 0", last: last.toISOString() };
    for (const list of lists) expect(list.getSnapshot()).toMatchObject([row]);
    // Without a patch, the changeable fields of the data are set.
    await upsertRow(second, "Visit", "path", { path: "/", n: 9, first: "ignored" });
    await second.flushed();
    await until(() => lists.every((list) => list.getSnapshot()[0]?.["n"] === 9));
    await until(() => lists.every((list) => list.getSnapshot()[0]?.["first"] === "client 0"));
    await upsertRow(first, "Visit", "id", { id: "chosen", path: "/b" });
    await until(() => lists.every((list) => list.getSnapshot().length === 2));
    expect(lists[1]?.getSnapshot().map(({ id }) => id)).toContain("chosen");
  });
});

test("an upsert that the server rejects is rolled back", async () => {
  const { url } = await serve();
  const engine = await connect(url);
  const codes: string[] = [];
  engine.onError(({ code }) => codes.push(code));
  await upsertRow(engine, "Post", "title", { title: "not unique" });
  await upsertRow(engine, "Visit", "path", { n: 1 });
  await expect(upsertRow(engine, "Visit", "path", { path: 1n })).rejects.toMatchObject({
    code: "UNSENDABLE",
  });
  const odd = upsertRow(engine, "Visit", "path", { path: "/" }, { n: Number.NaN });
  await expect(odd).rejects.toMatchObject({ code: "UNSENDABLE", field: "n" });
  await until(() => codes.length === 4 && engine.mutations.all().length === 0);
  expect(codes.toSorted()).toEqual(["INVALID_DATA", "MISSING_FIELD", "UNSENDABLE", "UNSENDABLE"]);
  expect([...engine.query("Visit").getSnapshot(), ...engine.query("Post").getSnapshot()]).toEqual(
    [],
  );
});

test("rolls back a sum that the field rejects", async () => {
  const { url } = await serve();
  const engine = await connect(url);
  const id = await engine.insert("Post", { likes: 99 });
  await engine.flushed();
  await engine.increment("Post", id, "likes", 2);
  expect(engine.store.get("Post", id)?.["likes"]).toBe(101);
  await expect(engine.flushed()).rejects.toMatchObject({ code: "INVALID_DATA" });
  await until(() => engine.store.get("Post", id)?.["likes"] === 99);
});

test("if two clients change a row that they have read, the second change is rejected", async () => {
  const { url } = await serve();
  const [ann, bob] = [await connect(url), await connect(url)];
  const id = await ann.insert("Post", { title: "a" });
  await until(() => bob.store.get("Post", id) !== null && ann.mutations.all().length === 0);
  const updatedAt = bob.store.get("Post", id)?.["updatedAt"];
  bob.stop();
  await ann.update("Post", id, { title: "ann" }, { ifUnchanged: { updatedAt } });
  await ann.flushed();
  await bob.update("Post", id, { title: "bob" }, { ifUnchanged: { updatedAt } });
  await bob.delete("Post", id, { ifUnchanged: { title: "a" } });
  const codes: string[] = [];
  bob.onError(({ code }) => codes.push(code));
  bob.start();
  await until(() => bob.store.get("Post", id)?.["title"] === "ann" && codes.length === 2);
  expect(codes).toEqual(["ROW_CHANGED", "ROW_CHANGED"]);
});

test("a resent push adds once; rejects an increment of an anonymous client", async () => {
  const { url } = await serve();
  const guest = await TestClient.guest(url);
  const id = await guest.insert("Post", {});
  const push = (client: TestClient, more: object = {}) =>
    client.request("POST", "/api/sync/push", {
      results: true,
      changes: [
        { entity: "Post", row_id: id, kind: "update", data: { likes: { $increment: 1 } }, ...more },
      ],
    });
  const first = await push(guest, { op_id: "one" });
  const again = await push(guest, { op_id: "one" });
  expect(first.body).toMatchObject({ results: [{ status: "applied" }] });
  expect(again.body).toMatchObject({ results: [{ status: "deduped" }] });
  const nobody = new TestClient(url, null);
  expect((await push(nobody, { op_id: "two" })).body).toMatchObject({
    results: [{ status: "refused", error: { code: "AUTH_REQUIRED", field: "likes" } }],
  });
  const inserted = await push(guest, { kind: "insert", row_id: "n", if_unchanged: { likes: 1 } });
  expect(inserted.body).toMatchObject({ results: [{ error: { field: "if_unchanged" } }] });
  const { body } = await guest.request("GET", `/api/entities/Post/${id}`);
  expect(body["likes"]).toBe(1);
});
