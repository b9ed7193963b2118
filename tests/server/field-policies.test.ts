// A caller can neither read nor write a field that its policies close, on any path.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { query } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { QuerySocket } from "../support/query-socket.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const SECRET = "what-ann-earns";
const app = appOf(
  buildManifest({
    name: "field_policies",
    version: "1.0.0",
    entities: [
      entity("Person", {
        name: field.string().unique(),
        salary: field.string().optional(),
        contract: field.file().optional(),
      }),
    ],
    policies: [
      policy({
        name: "people",
        entity: "Person",
        allow: "auth.userId != null",
        fields: {
          salary: { allow: "auth.claims.hr == true" },
          contract: { allowRead: "auth.claims.hr == true" },
        },
      }),
    ],
  }),
  {
    mine: query({ handler: (ctx) => ctx.db.as(ctx.auth).list("Person") }),
  },
);

let server: TestServer;
let admin: TestClient;
let client: TestClient;
let hr: TestClient;
let id: string;
beforeAll(async () => {
  server = await startServer(app);
  admin = new TestClient(server.url, ADMIN_TOKEN);
  client = await TestClient.guest(server.url);
  hr = await TestClient.guest(server.url);
  await setHr(hr, true);
  id = await admin.insert("Person", { name: "ann", salary: SECRET });
});
afterAll(() => server.stop());

const setHr = (who: TestClient, isHr: boolean) =>
  admin.request("PUT", `/api/admin/users/${who.userId}/claims`, { claims: { hr: isHr } });
const ask = (who: TestClient, path: string, body?: unknown, method = body ? "POST" : "GET") =>
  who.request(method, path, body);
const errorOf = ({ body }: { readonly body: Readonly<Record<string, unknown>> }): unknown =>
  body["error"];

test("T1: no response has it for callers without the right, and each does for others", async () => {
  const reads: [string, unknown?][] = [
    ["/api/entities/Person"],
    ["/api/entities/Person/cursor"],
    [`/api/entities/Person/${id}`],
    ["/api/lookup/Person/name/ann"],
    ["/api/query/Person", {}],
    ["/api/query", { Person: {} }],
    ["/api/sync/pull?since=0"],
    ["/api/fn/mine", {}],
  ];
  for (const [path, body] of reads) {
    expect([path, (await ask(client, path, body)).text]).not.toEqual([
      path,
      expect.stringContaining("salary"),
    ]);
    expect([path, (await ask(hr, path, body)).text]).toEqual([
      path,
      expect.stringContaining(SECRET),
    ]);
  }
  const asked = await ask(client, "/api/query/Person", { salary: SECRET });
  expect([asked.status, errorOf(asked)]).toMatchObject([
    400,
    { code: "INVALID_COLUMN", field: "salary", hint: expect.stringContaining("policy") as string },
  ]);
});

test("T5: every write path rejects it and names it", async () => {
  const change = { entity: "Person", row_id: id, kind: "update", data: { salary: "more" } };
  const ways: [string, unknown, string?][] = [
    ["/api/entities/Person", { name: "ben", salary: "x" }],
    [`/api/entities/Person/${id}`, { salary: "more" }, "PATCH"],
    ["/api/transact", [{ op: "update", entity: "Person", id, data: { salary: "more" } }]],
    [
      "/api/transact",
      [{ op: "upsert", entity: "Person", by: "name", data: { name: "ann", salary: "x" } }],
    ],
    ["/api/sync/push", { changes: [change], results: true }],
  ];
  for (const [path, body, method] of ways) {
    const { text } = await ask(client, path, body, method);
    expect(text).toContain("POLICY_DENIED");
    expect(text).toContain("salary");
  }
  const { body } = await ask(hr, `/api/entities/Person/${id}`);
  expect(body).toMatchObject({ name: "ann", salary: SECRET });
  expect((await ask(client, `/api/entities/Person/${id}`, { name: "ann" }, "PATCH")).status).toBe(
    200,
  );
});

test("T3, T4: live connections of both versions send it only to allowed callers", async () => {
  const [old, socket] = [await client.live(0).ready(), await QuerySocket.open(client)];
  const [oldHr, other] = [await hr.live(0).ready(), await QuerySocket.open(hr)];
  for (const one of [socket, other])
    await one.subscribe({ entity: "Person", order: { name: "asc" }, limit: 5 });
  expect(socket.texts).not.toContain("salary");
  socket.send({ type: "subscribe", id: 9, entity: "Person", where: { salary: SECRET } });
  await until(() => socket.texts.includes("INVALID_COLUMN"));
  const change = (data: object) => ask(admin, `/api/entities/Person/${id}`, data, "PATCH");
  await change({ salary: "first" });
  await change({ salary: "second", name: "anna" });
  await until(() => [socket.texts, other.texts].every((text) => text.includes("anna")));
  await until(() => [old, oldHr].every(({ texts }) => texts.some((one) => one.includes("anna"))));
  const heard = `${socket.texts}${old.texts.join()}`;
  for (const kept of [SECRET, "first", "second", '"salary":']) expect(heard).not.toContain(kept);
  expect(other.texts).toContain("second");
  expect(oldHr.texts.join()).toContain("second");
  // A change of the caller's rights closes the connection, and the next one has the new rights.
  await setHr(client, true);
  await until(() => socket.closed !== null && old.closed !== null);
  const again = await QuerySocket.open(client);
  await again.subscribe({ entity: "Person" });
  expect(again.texts).toContain('"salary":"second"');
  await setHr(client, false);
  await until(() => again.closed !== null);
  for (const one of [oldHr, other.socket]) one.close();
});

test("T6: names and values that contain SQL are only names and values", async () => {
  const attacks = [`x" OR 1=1 --`, "salary) --", "name; DROP TABLE Person", "'||salary||'"];
  for (const attack of attacks) {
    const named: [string, unknown][] = [
      ["/api/query/Person", { [attack]: 1 }],
      ["/api/query/Person", { $order: { [attack]: "asc" } }],
      ["/api/aggregate/Person", { count: true, groupBy: [attack] }],
      ["/api/aggregate/Person", { max: [attack] }],
    ];
    for (const [path, body] of named) expect((await ask(client, path, body)).status).toBe(400);
    expect((await ask(client, "/api/query/Person", { name: attack })).text).toBe("[]");
    const made = await client.insert("Person", { name: attack });
    const { body } = await ask(client, "/api/query/Person", { name: attack });
    expect(body).toMatchObject([{ id: made, name: attack }]);
  }
});

test("T15: a file in such a field is not served", async () => {
  const upload = await fetch(`${server.url}/api/files/upload`, {
    method: "POST",
    headers: { Authorization: `Bearer ${ADMIN_TOKEN}`, "X-Filename": "c.txt" },
    body: SECRET,
  });
  const { id: fileId } = (await upload.json()) as { id: string };
  await ask(admin, `/api/entities/Person/${id}`, { contract: fileId }, "PATCH");
  expect((await ask(client, `/api/files/${fileId}`)).text).not.toContain(SECRET);
  expect((await ask(hr, `/api/files/${fileId}`)).text).toContain(SECRET);
});
