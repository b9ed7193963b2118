// A reload in dev mode, with open sockets. `PYLON_TEST_STORE=postgres` runs the tests on Postgres.
import { expect, test } from "bun:test";
import { buildManifest, entity, field, type Entity } from "@pylonsync/sdk";
import { AppDatabase } from "../support/app-database.ts";
import { TestClient, until } from "../support/client.ts";
import { QuerySocket } from "../support/query-socket.ts";
import { appOf } from "../support/server.ts";

const withNotes = (...entities: Entity[]) =>
  buildManifest({ name: "notes", version: "1.0.0", access: "public", entities });

test("open sockets reconnect when the fields of an entity change, and only then", async () => {
  await using database = await AppDatabase.create();
  const first = withNotes(entity("Note", { text: field.string(), secret: field.string() }));
  const { server, url } = await database.serve(first);
  const client = new TestClient(url, null);
  const socket = await QuerySocket.open(client);
  await socket.subscribe({ entity: "Note", limit: 10 });
  expect(await server.reload(appOf({ ...first, version: "1.0.1" }))).toEqual([]);
  await client.request("POST", "/api/entities/Note", { text: "a", secret: "b" });
  await socket.commits(1);
  expect(socket.closed).toBeNull();

  // Otherwise its changes would still contain the field that is hidden now, and lack the new one.
  const second = withNotes(
    entity("Note", {
      text: field.string(),
      secret: field.string().hidden(),
      likes: field.int().default(0),
    }),
  );
  expect(await server.reload(appOf(second))).toEqual([]);
  await until(() => socket.closed !== null);
  expect(socket.closed).toBe(1013);
  const again = await QuerySocket.open(client);
  const sub = await again.subscribe({ entity: "Note", limit: 10 });
  const [rows] = again.all("rows").filter((one) => one.sub === sub);
  expect(rows?.rows).toEqual([{ id: expect.any(String), text: "a", likes: 0 }]);
});
