// A field and an entity are renamed: rows and files are kept, older clients are still served, and
// the previous version can run again. `PYLON_TEST_STORE=postgres` runs the tests on Postgres.
import { expect, test } from "bun:test";
import { buildManifest, entity, field, policy, type Manifest } from "@pylonsync/sdk";
import { AppDatabase } from "../support/app-database.ts";
import { TestClient } from "../support/client.ts";
import { QuerySocket } from "../support/query-socket.ts";

const Team = entity("Team", { label: field.string() });

function appWith(version: string, task: ReturnType<typeof entity>): Manifest {
  return buildManifest({
    name: "renames",
    version,
    entities: [Team, task],
    policies: [
      policy({ name: "teams", entity: "Team", allow: "true" }),
      policy({
        name: "tasks",
        entity: task.name,
        allow: "exists(Team, id == data.teamId) && data.ownerId == auth.userId",
      }),
    ],
  });
}

const relations = [{ name: "team", target: "Team", field: "teamId" }] as const;
const before = appWith(
  "1.0.0",
  entity(
    "Task",
    {
      name: field.string().unique(),
      rank: field.int().default(0),
      author: field.string().owner(),
      ownerId: field.string().owner(),
      teamId: field.id("Team", { onDelete: "cascade" }),
      picture: field.file().optional(),
      upperId: field.id("Task").optional(),
    },
    { indexes: [{ name: "by_name", fields: ["name", "rank"], unique: false }], relations },
  ),
);
const renamed = {
  title: field.string().unique().renamedFrom("name"),
  rank: field.int().default(0),
  writerId: field.string().owner().renamedFrom("author"),
  ownerId: field.string().owner(),
  teamId: field.id("Team", { onDelete: "cascade" }),
  image: field.file().optional().renamedFrom("picture"),
  parentId: field.id("Card").optional().renamedFrom("upperId"),
};
const options = {
  indexes: [{ name: "by_name", fields: ["title", "rank"], unique: false }],
  search: { text: ["title"], facets: [], sortable: [] },
  relations: [...relations, { name: "parent", target: "Card", field: "parentId" }],
};
const after = appWith("2.0.0", entity("Card", renamed, { ...options, renamedFrom: "Task" }));
const later = appWith(
  "3.0.0",
  entity(
    "Card",
    {
      title: field.string().unique(),
      rank: field.int().default(0),
      writerId: field.string().owner(),
      ownerId: field.string().owner(),
      teamId: field.id("Team", { onDelete: "cascade" }),
      image: field.file().optional(),
      parentId: field.id("Card").optional(),
    },
    options,
  ),
);

async function upload(client: TestClient): Promise<string> {
  const path = "/api/files/upload?filename=a.txt";
  const { body } = await client.request("POST", path, "hello", { "Content-Type": "text/plain" });
  return String(body["id"] ?? body["file_id"]);
}

test("a rename keeps rows, files and indexes, in both directions", async () => {
  await using database = await AppDatabase.create();
  const first = await database.serve(before);
  let client = await TestClient.guest(first.url);
  const { userId } = client;
  const at = (url: string): TestClient => new TestClient(url, client.token, userId);
  const teamId = await client.insert("Team", { label: "red" });
  const picture = await upload(client);
  const a = await client.insert("Task", { name: "a", teamId, picture });
  await database.stop();

  const second = await database.serve(after);
  client = at(second.url);
  expect(second.server.diagnostics).toEqual([]);
  const row = { id: a, title: "a", rank: 0, writerId: userId, ownerId: userId, image: picture };
  expect((await client.request("GET", `/api/entities/Card/${a}`)).body).toMatchObject(row);
  expect((await client.request("GET", `/api/files/${picture}`)).text).toContain("hello");
  const b = await client.insert("Card", { title: "b", teamId, rank: 1 });
  expect((await client.request("POST", "/api/entities/Card", { title: "b", teamId })).body).toEqual(
    { error: expect.objectContaining({ code: "UNIQUE_VIOLATION", field: "title" }) },
  );
  const found = await client.request("POST", "/api/search/Card", { query: "b" });
  expect(found.body["hits"]).toMatchObject([{ id: b, title: "b" }]);
  const grouped = await client.request("POST", "/api/aggregate/Card", {
    count: "*",
    groupBy: ["title"],
  });
  expect(JSON.stringify(grouped.body)).toContain('"title":"a"');
  await database.stop();

  const back = await database.serve(before);
  client = at(back.url);
  const tasks = await client.request("POST", "/api/query/Task", { name: { $in: ["a", "b"] } });
  expect(tasks.body).toMatchObject([
    { id: a, name: "a", author: userId, picture },
    { id: b, name: "b" },
  ]);
  expect((await client.request("GET", `/api/files/${picture}`)).text).toContain("hello");
  await client.request("PATCH", `/api/entities/Task/${a}`, { name: "a2" });
  await database.stop();

  const third = await database.serve(later);
  client = at(third.url);
  const cards = await client.request("POST", "/api/query/Card", { $order: { title: "asc" } });
  expect(cards.body).toMatchObject([
    { id: a, title: "a2", image: picture },
    { id: b, title: "b" },
  ]);
  expect((await client.request("GET", `/api/entities/Task/${a}`)).body).toMatchObject({
    error: { code: "ENTITY_NOT_FOUND" },
  });
  expect(
    (await client.request("POST", "/api/entities/Card", { name: "c", teamId })).body,
  ).toMatchObject({ error: { code: "INVALID_COLUMN" } });
  await client.request("DELETE", `/api/entities/Team/${teamId}`);
  expect((await client.request("POST", "/api/query/Card", {})).body).toEqual([] as never);
});

test("rows are grouped by a renamed field of related rows", async () => {
  await using database = await AppDatabase.create();
  const first = await database.serve(before);
  const client = await TestClient.guest(first.url);
  const teamId = await client.insert("Team", { label: "red" });
  const a = await client.insert("Task", { name: "a", teamId });
  await client.insert("Task", { name: "b", teamId, upperId: a });
  await database.stop();
  const second = await database.serve(after);
  const { body } = await new TestClient(second.url, client.token).request(
    "POST",
    "/api/aggregate/Card",
    { count: true, groupBy: ["parent.title"], where: { parent: { title: "a" } } },
  );
  expect(body).toEqual({ rows: [{ "parent.title": "a", count: 1 }] });
});

test("older clients are served under the old names, live too", async () => {
  await using database = await AppDatabase.create();
  const { url } = await database.serve(after);
  const client = await TestClient.guest(url);
  const teamId = await client.insert("Team", { label: "red" });
  const live = await QuerySocket.open(client);
  const sub = await live.subscribe({ entity: "Task", where: { name: "old" } });
  const a = await client.insert("Task", { name: "old", teamId });
  const [commit] = await live.commits(1);
  expect(commit?.changes).toMatchObject([{ sub, rows: [{ id: a, name: "old", title: "old" }] }]);

  const patch = (body: object) => client.request("PATCH", `/api/entities/Task/${a}`, body);
  const read = async (): Promise<unknown> =>
    (await client.request("GET", `/api/entities/Task/${a}`)).body;
  // The client sends back its whole row, with the old name changed and the new name unchanged.
  await patch({ name: "new", title: "old" });
  expect(await read()).toMatchObject({ name: "new", title: "new", author: client.userId });
  await patch({ name: "new", title: "newer" });
  expect(await read()).toMatchObject({ name: "newer", title: "newer" });

  const push = await client.request("POST", "/api/sync/push", {
    client_id: "c",
    results: true,
    changes: [
      { entity: "Task", row_id: a, kind: "update", data: { name: "pushed" }, op_id: "1" },
      { entity: "Task", row_id: "p", kind: "insert", data: { name: "p", teamId }, op_id: "2" },
    ],
  });
  expect(push.body).toMatchObject({ applied: 2, errors: [] });
  const upserted = await client.request("POST", "/api/transact", [
    { op: "upsert", entity: "Task", by: "name", data: { name: "p", teamId, rank: 7 } },
  ]);
  expect(upserted.body).toMatchObject({ committed: true });
  const query = { name: { $startsWith: "p" }, $order: { name: "desc" }, $include: { team: {} } };
  expect((await client.request("POST", "/api/query/Task", query)).body).toMatchObject([
    { name: "pushed", team: { label: "red" } },
    { name: "p", rank: 7 },
  ]);
  const page = { order: { name: "asc" }, limit: 1 };
  const first = await client.request("POST", "/api/page/Task", page);
  const cursor = first.body["next_cursor"];
  const second = await client.request("POST", "/api/page/Task", { ...page, cursor });
  expect([first.body["data"], second.body["data"]]).toMatchObject([
    [{ name: "p" }],
    [{ name: "pushed" }],
  ]);
  // An old name does not bypass a restriction of the field.
  expect((await patch({ author: "other" })).body).toMatchObject({
    error: { code: "READONLY_FIELD" },
  });
});
