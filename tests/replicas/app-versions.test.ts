// Two versions of an app on one Postgres at the same time, as during a rolling deploy.
import { expect, test } from "bun:test";
import { buildManifest, entity, field, type Manifest } from "@pylonsync/sdk";
import { AppDatabase } from "../support/app-database.ts";
import { TestClient, until } from "../support/client.ts";
import { QuerySocket } from "../support/query-socket.ts";

function appWith(version: string, ...entities: ReturnType<typeof entity>[]): Manifest {
  return buildManifest({ name: "versions", version, access: "public", entities });
}

const older = appWith(
  "1.0.0",
  entity("Task", { name: field.string().unique(), note: field.string().optional() }),
);
const newer = appWith(
  "2.0.0",
  entity(
    "Card",
    {
      title: field.string().unique().renamedFrom("name"),
      state: field.enum(["open", "done"]).default("open"),
      code: field.string().default("uuid"),
    },
    { renamedFrom: "Task" },
  ),
  entity("Label", { text: field.string() }),
);

test("an older version can run beside a newer one, and after it", async () => {
  await using database = await AppDatabase.create("postgres");
  const old = await database.serve(older);
  const oldClient = await TestClient.guest(old.url);
  const oldLive = await QuerySocket.open(oldClient);
  const tasks = await oldLive.subscribe({ entity: "Task" });
  const a = await oldClient.insert("Task", { name: "a", note: "kept" });

  const current = await database.serve(newer);
  const client = new TestClient(current.url, oldClient.token, oldClient.userId);
  const live = await QuerySocket.open(client);
  const cards = await live.subscribe({ entity: "Card" });
  const b = await client.insert("Card", { title: "b", state: "done" });
  const c = await oldClient.insert("Task", { name: "c" });
  await oldClient.request("PATCH", `/api/entities/Task/${b}`, { name: "b2", note: "new" });
  await client.request("PATCH", `/api/entities/Card/${a}`, { title: "a2" });
  const taken = await oldClient.request("POST", "/api/entities/Task", { name: "a2" });
  expect(taken.body).toMatchObject({ error: { code: "UNIQUE_VIOLATION", field: "name" } });

  const rowsOf = async (from: TestClient, of: string): Promise<unknown> =>
    (await from.request("POST", `/api/query/${of}`, {})).body;
  const asTasks = [
    { id: a, name: "a2", note: "kept" },
    { id: b, name: "b2", note: "new" },
    { id: c, name: "c", note: null },
  ];
  expect(await rowsOf(oldClient, "Task")).toEqual(asTasks as never);
  const asCards = [
    { id: a, title: "a2", name: "a2", state: "open" },
    { id: b, title: "b2", name: "b2", state: "done" },
    { id: c, title: "c", name: "c", state: "open" },
  ];
  expect(await rowsOf(client, "Card")).toMatchObject(asCards);
  // Each receives what the other writes, under its own names.
  const heard = (socket: QuerySocket, sub: number): string =>
    JSON.stringify(
      socket.all("commit").flatMap(({ changes }) => changes.filter((one) => one.sub === sub)),
    );
  await until(() => heard(oldLive, tasks).includes(`"name":"a2"`));
  await until(() => heard(live, cards).includes(`"title":"a2"`));
  expect(heard(oldLive, tasks)).toContain(`"name":"b2"`);
  expect(heard(oldLive, tasks)).not.toContain("title");
  expect(heard(live, cards)).toContain(`"title":"b2"`);

  await database.stop();
  const again = await database.serve(older);
  const rolledBack = new TestClient(again.url, oldClient.token, oldClient.userId);
  expect(await rowsOf(rolledBack, "Task")).toEqual(asTasks as never);
  await rolledBack.insert("Task", { name: "d" });
  await database.stop();
  const forward = await database.serve(newer);
  const rows = await rowsOf(new TestClient(forward.url, oldClient.token), "Card");
  expect(rows).toMatchObject([...asCards, { title: "d", state: "open" }]);
});

test("only one of several replicas that start at the same time migrates", async () => {
  await using database = await AppDatabase.create("postgres");
  await database.serve(older);
  await database.stop();
  const servers = await Promise.all([1, 2, 3].map(() => database.serve(newer)));
  const clients = await Promise.all(servers.map(({ url }) => TestClient.guest(url)));
  for (const [index, client] of clients.entries())
    await client.insert("Card", { title: `from ${index}` });
  const [first] = clients;
  expect((await first?.request("GET", "/api/entities/Card"))?.text).toContain("from 2");
});
