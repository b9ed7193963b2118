import { query } from "@pylonsync/functions";
import { buildManifest, entity, field, policy, relation } from "@pylonsync/sdk";
import { createSyncEngine, fetchPage, PylonClientError, type PageOptions } from "@pylonsync/sync";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const app = appOf(
  buildManifest({
    name: "pages",
    version: "1.0.0",
    entities: [
      entity("Team", { name: field.string(), secret: field.bool() }),
      entity(
        "Player",
        { name: field.string(), score: field.int().optional(), teamId: field.id("Team") },
        { relations: [relation({ name: "team", target: "Team", field: "teamId" })] },
      ),
    ],
    policies: [
      policy({ name: "teams", entity: "Team", allowRead: "!data.secret" }),
      policy({ name: "players", entity: "Player", allowRead: "data.name != 'hidden'" }),
    ],
  }),
  {
    best: query({
      handler: (ctx) => ctx.db.paginate("Player", { order: { score: "desc" }, limit: 2 }),
    }),
  },
);

let server: TestServer;
beforeAll(async () => {
  server = await startServer(app);
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const insert = async (name: string, data: object): Promise<void> => {
    expect((await admin.request("POST", `/api/entities/${name}`, data)).status).toBe(201);
  };
  await insert("Team", { id: "open", name: "Open", secret: false });
  await insert("Team", { id: "closed", name: "Closed", secret: true });
  for (const [name, score, teamId] of [
    ["ann", 3, "open"],
    ["bob", null, "open"],
    ["cy", 7, "closed"],
    ["di", 3, "open"],
    ["hidden", 5, "open"],
  ])
    await insert("Player", { id: name, name, score, teamId });
});
afterAll(() => server.stop());

test("a client reads pages in any order, forwards and backwards, under the policies", async () => {
  const engine = createSyncEngine(server.url);
  const read = async (cursor: string | null, options: PageOptions = {}) => {
    const page = await fetchPage(engine, "Player", {
      orderBy: { score: "desc" },
      limit: 2,
      ...options,
      cursor,
    });
    return { ...page, rows: page.rows.map(({ id }) => id) };
  };
  const first = await read(null);
  expect(first).toMatchObject({ rows: ["bob", "cy"], prevCursor: null });
  const second = await read(first.nextCursor);
  expect(second).toMatchObject({ rows: ["ann", "di"], nextCursor: null });
  expect(await read(second.prevCursor)).toMatchObject({ rows: ["bob", "cy"], prevCursor: null });
  // The caller may not read cy's team.
  const closed = await read(null, { where: { team: { name: { $ilike: "CLOSED" } } } });
  expect(closed.rows).toEqual([]);
  expect(await read(null, { where: { team: null } })).toMatchObject({ rows: ["cy"] });
  const refused = read(first.nextCursor, { orderBy: { score: "asc" } });
  expect(await refused.catch((error: unknown) => error)).toBeInstanceOf(PylonClientError);
  await refused.catch((error: unknown) => {
    expect(error).toMatchObject({ status: 400, code: "INVALID_QUERY", field: "cursor" });
  });
});

test("a function reads the same pages, including rows that policies hide from others", async () => {
  const { body } = await new TestClient(server.url, null).request("POST", "/api/fn/best", {});
  expect(body).toMatchObject({ page: [{ id: "bob" }, { id: "cy" }], isDone: false });
  expect(typeof body["nextCursor"]).toBe("string");
});
