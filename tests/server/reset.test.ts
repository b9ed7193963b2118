import { afterAll, beforeAll, expect, test } from "bun:test";
import { installTestIsolation, resetDb } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// A server in dev mode that tests reset between them.

const app = appOf(
  buildManifest({
    name: "notes",
    version: "1.0.0",
    entities: [
      entity("Folder", { name: field.string() }),
      entity("Note", {
        text: field.string(),
        folderId: field.id("Folder", { onDelete: "restrict" }),
        image: field.file().optional(),
      }),
    ],
    policies: [
      policy({ name: "folders", entity: "Folder", allow: "auth.userId != null" }),
      policy({ name: "notes", entity: "Note", allow: "auth.userId != null" }),
    ],
  }),
);
const DEV = { PYLON_DEV_MODE: "1", PYLON_IN_MEMORY: "1", PYLON_DB_PATH: "" };
let server: TestServer;
beforeAll(async () => {
  server = await startServer(app, DEV);
});
afterAll(() => server.stop());

test("a reset leaves no row, session or job, and disconnects live clients", async () => {
  const guest = await TestClient.guest(server.url);
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const folderId = await guest.insert("Folder", { name: "first" });
  await guest.insert("Note", { text: "within", folderId });
  await admin.request("POST", "/api/jobs", { name: "later", delay_secs: 3_600 });
  const reader = await TestClient.guest(server.url);
  const socket = await reader.live(0).ready();
  await resetDb(server.url);
  await until(() => socket.closed !== null);
  expect((await guest.request("GET", "/api/entities/Note")).status).toBe(401);
  const another = await TestClient.guest(server.url);
  for (const name of ["Folder", "Note"])
    expect((await another.request("POST", `/api/query/${name}`, {})).text).toBe("[]");
  expect((await admin.request("GET", "/api/jobs")).text).toBe("[]");
  expect(await another.insert("Folder", { name: "second" })).toBeString();
});

test("the runner's beforeEach resets the database before each test", async () => {
  const before: (() => Promise<void>)[] = [];
  installTestIsolation({ url: `${server.url}/`, beforeEach: (run) => before.push(run) });
  const guest = await TestClient.guest(server.url);
  await guest.insert("Folder", { name: "of the test before" });
  for (const run of before) await run();
  const another = await TestClient.guest(server.url);
  expect((await another.request("POST", "/api/query/Folder", {})).text).toBe("[]");
});

test.each([
  ["not in dev mode", { ...DEV, PYLON_DEV_MODE: "0" }, {}],
  [
    "for another machine",
    { ...DEV, PYLON_TRUST_PROXY_HOPS: "1" },
    { "X-Forwarded-For": "9.9.9.9" },
  ],
])("a server rejects a reset: %s", async (_, env, headers) => {
  const other = await startServer(app, env);
  const guest = await TestClient.guest(other.url);
  await guest.insert("Folder", { name: "kept" });
  const answer = await guest.request("POST", "/api/__test__/reset", undefined, headers);
  expect(answer).toMatchObject({ status: 403, body: { error: { code: "RESET_REFUSED" } } });
  if (Object.keys(headers).length === 0)
    expect(resetDb(other.url)).rejects.toThrow("RESET_REFUSED");
  expect(JSON.parse((await guest.request("POST", "/api/query/Folder", {})).text)).toHaveLength(1);
  await other.stop();
});
