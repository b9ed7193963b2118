// Search over HTTP and in functions. `PYLON_TEST_STORE=postgres` runs the tests on Postgres.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mutation, query, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { createSyncEngine } from "@pylonsync/sync";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const SECRET = "xylophone";
const app = appOf(
  buildManifest({
    name: "search",
    version: "1.0.0",
    entities: [
      entity("Folder", { name: field.string(), ownerId: field.string().owner() }),
      entity(
        "Note",
        {
          title: field.string(),
          body: field.string().optional(),
          kind: field.string().optional(),
          folderId: field.id("Folder", { onDelete: "cascade" }).optional(),
          ownerId: field.string().owner(),
        },
        { search: { text: ["title", "body"], facets: ["kind"], sortable: ["title"] } },
      ),
    ],
    policies: [
      policy({ name: "folders", entity: "Folder", allow: "data.ownerId == auth.userId" }),
      policy({ name: "notes", entity: "Note", allow: "data.ownerId == auth.userId" }),
    ],
  }),
  {
    find: query({
      args: { words: v.string() },
      handler: async (ctx, { words }) => {
        const { hits, total } = await ctx.db.search("Note", { query: words });
        const rows = await ctx.db.query("Note", { $search: words });
        return { titles: hits.map(({ title }) => title), total, queried: rows.length };
      },
    }),
    addAndFind: mutation({
      args: { title: v.string() },
      handler: async (ctx, { title }) => {
        const ownerId = ctx.auth.userId ?? "";
        await ctx.db.insert("Note", { title, ownerId });
        return (await ctx.db.search("Note", { query: title })).total;
      },
    }),
  },
);

let server: TestServer;
let ann: TestClient;
let bob: TestClient;
beforeAll(async () => {
  server = await startServer(app);
  [ann, bob] = await Promise.all([TestClient.guest(server.url), TestClient.guest(server.url)]);
});
afterAll(() => server.stop());

async function titles(client: TestClient, words: string): Promise<string[]> {
  const { body } = await client.request("POST", "/api/search/Note", { query: words });
  const hits = body["hits"];
  return Array.isArray(hits) ? hits.map(({ title }) => String(title)).toSorted() : [];
}

test("the response has the names that ported apps read, and errors have their codes", async () => {
  await ann.insert("Note", { id: "shape", title: "Shape of answers", kind: "doc" });
  const { status, body } = await ann.request("POST", "/api/search/Note", {
    query: "shape",
    page: 0,
    page_size: 5,
  });
  expect(status).toBe(200);
  expect(body).toEqual({
    hits: [
      {
        id: "shape",
        title: "Shape of answers",
        body: null,
        kind: "doc",
        folderId: null,
        ownerId: ann.userId ?? "",
      },
    ],
    facetCounts: { kind: { doc: 1 } },
    total: 1,
    tookMs: expect.any(Number),
  });
  const refusals: [string, unknown, number, string][] = [
    ["/api/search/Folder", {}, 400, "SEARCH_NOT_CONFIGURED"],
    ["/api/search/Nope", {}, 404, "ENTITY_NOT_FOUND"],
    ["/api/search/Note", { facets: ["title"] }, 400, "INVALID_QUERY"],
    ["/api/query/Folder", { $search: "x" }, 400, "SEARCH_NOT_CONFIGURED"],
  ];
  for (const [path, asked, ...expected] of refusals) {
    const answer = await ann.request("POST", path, asked);
    const { code } = answer.body["error"] as { code: string };
    expect([path, answer.status, code]).toEqual([path, ...expected]);
  }
});

test("T1, T2: rows that the caller may not read are not found, counted or shown", async () => {
  await ann.insert("Note", { id: "hers", title: `Ann ${SECRET}`, body: "b", kind: SECRET });
  expect(await titles(ann, SECRET)).toEqual([`Ann ${SECRET}`]);
  for (const asked of [
    { query: SECRET },
    { query: SECRET, highlight: true },
    {},
    { filters: { kind: SECRET } },
    { sort: ["title", "asc"] },
  ]) {
    const answer = await bob.request("POST", "/api/search/Note", asked);
    expect(answer.body).toMatchObject({ hits: [], total: 0, facetCounts: { kind: {} } });
    expect(JSON.stringify(answer.body)).not.toContain(SECRET);
  }
  expect((await bob.request("POST", "/api/query/Note", { $search: SECRET })).body).toEqual(
    [] as never,
  );
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  expect(await titles(admin, SECRET)).toEqual([`Ann ${SECRET}`]);
});

test("every write path updates the index: push, patch, import, cascade", async () => {
  await ann.insert("Folder", { id: "f1", name: "f" });
  await ann.insert("Note", { id: "in-folder", title: "walnut", folderId: "f1" });
  expect(await titles(ann, "walnut")).toEqual(["walnut"]);
  await ann.request("PATCH", "/api/entities/Note/in-folder", { body: "chestnut" });
  expect(await titles(ann, "walnut chestnut")).toEqual(["walnut"]);
  await ann.request("PATCH", "/api/entities/Note/in-folder", { title: "hazel" });
  expect(await titles(ann, "walnut")).toEqual([]);
  expect(await titles(ann, "hazel")).toEqual(["hazel"]);
  await ann.request("DELETE", "/api/entities/Folder/f1");
  expect(await titles(ann, "hazel")).toEqual([]);
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const row = { id: "imported", title: "almond", ownerId: ann.userId };
  await admin.request("POST", "/api/import", { entities: { Note: [row] } });
  expect(await titles(ann, "almond")).toEqual(["almond"]);
  const engine = createSyncEngine(server.url, { token: ann.token ?? "", persist: false });
  await engine.start();
  await engine.insert("Note", { title: "pecan", ownerId: ann.userId ?? "" });
  await until(async () => (await titles(ann, "pecan")).length === 1);
  engine.stop();
});

test("functions search without policies, and a mutation finds its own writes", async () => {
  const added = await ann.request("POST", "/api/fn/addAndFind", { title: "quokka" });
  expect(added.body).toBe(1 as never);
  const found = await bob.request("POST", "/api/fn/find", { words: "quokka" });
  expect(found.body).toEqual({
    titles: ["quokka"],
    total: 1,
    queried: 1,
  });
});
