import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { aMoment, TestClient, until } from "../support/client.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const SECRET = "the-secret-of-alice";

const Note = entity("Note", {
  text: field.string(),
  ownerId: field.string(),
  size: field.int().default(1),
});
const own = "auth.userId == data.ownerId";
const app = appOf(
  buildManifest({
    name: "notes",
    version: "1.0.0",
    entities: [Note],
    policies: [
      policy({
        name: "own",
        entity: "Note",
        allowRead: own,
        allowInsert: own,
        allowDelete: own,
        allowUpdate: "auth.userId == old.ownerId",
      }),
    ],
  }),
);

let server: TestServer;
let alice: TestClient;
let bob: TestClient;

beforeAll(async () => {
  server = await startServer(app);
  alice = await TestClient.guest(server.url);
  bob = await TestClient.guest(server.url);
});
afterAll(() => server.stop());

describe("another user's rows", () => {
  let id = "";
  beforeAll(async () => {
    id = await alice.insert("Note", { text: SECRET, ownerId: alice.userId });
  });

  test("are in no response", async () => {
    const answers = await Promise.all([
      bob.request("GET", "/api/entities/Note"),
      bob.request("GET", "/api/entities/Note/cursor"),
      bob.request("GET", `/api/entities/Note/${id}`),
      bob.request("POST", "/api/query/Note", {}),
      bob.request("POST", "/api/query/Note", { text: SECRET }),
      bob.request("POST", "/api/query", { Note: { where: { text: SECRET } } }),
      bob.request("GET", `/api/lookup/Note/text/${SECRET}`),
      bob.request("GET", "/api/sync/pull?since=0"),
      bob.request("GET", "/api/sync/pull?since=0&limit=10"),
      bob.request("PATCH", `/api/entities/Note/${id}`, { text: "mine" }),
      bob.request("DELETE", `/api/entities/Note/${id}`),
      bob.request("GET", "/api/export/Note"),
      bob.request("POST", "/api/transact", [
        { op: "update", entity: "Note", id, data: { text: "mine" } },
      ]),
    ]);
    for (const { text } of answers) {
      expect(text).not.toContain(alice.userId);
      expect(text.replaceAll(`${SECRET}"`, "")).not.toContain(`"text":"${SECRET}`);
    }
    expect(answers[2]?.status).toBe(404);
    expect(answers[9]?.status).toBe(404);
    expect(answers[10]?.status).toBe(404);
    expect((await alice.request("GET", `/api/entities/Note/${id}`)).body["text"]).toBe(SECRET);
  });

  test("are in no count and no aggregate", async () => {
    const { body } = await bob.request("POST", "/api/aggregate/Note", {
      count: true,
      sum: ["size"],
      groupBy: ["ownerId"],
    });
    expect(body["rows"]).toEqual([]);
    const total = await bob.request("POST", "/api/aggregate/Note", { count: true });
    expect(total.body["rows"]).toEqual([{ count: 0 }]);
  });

  test("do not shorten a page", async () => {
    for (let index = 0; index < 5; index += 1) {
      await alice.insert("Note", { text: `a${index}`, ownerId: alice.userId });
      await bob.insert("Note", { text: `b${index}`, ownerId: bob.userId });
    }
    const { body } = await bob.request("GET", "/api/entities/Note?limit=3");
    expect((body["data"] as unknown[]).length).toBe(3);
    expect(body["has_more"]).toBe(true);
  });
});

test("a socket and an event stream carry only what their user may read", async () => {
  const socket = await bob.live(0).ready();
  const older = await bob.live().opened();
  const abort = new AbortController();
  const stream = await fetch(`${server.url}/events`, {
    headers: { Authorization: `Bearer ${bob.token ?? ""}` },
    signal: abort.signal,
  });
  let streamed = "";
  const read = (async () => {
    for await (const chunk of stream.body ?? []) streamed += new TextDecoder().decode(chunk);
  })().catch(() => undefined);
  await until(() => streamed.includes("connected"));

  const id = await alice.insert("Note", { text: SECRET, ownerId: alice.userId });
  await alice.request("PATCH", `/api/entities/Note/${id}`, { text: `${SECRET} again` });
  await alice.request("DELETE", `/api/entities/Note/${id}`);
  const mine = await bob.insert("Note", { text: "mine", ownerId: bob.userId });
  await until(
    () =>
      socket.texts.join().includes(mine) &&
      older.texts.join().includes(mine) &&
      streamed.includes(mine),
  );

  for (const heard of [socket.texts.join(), older.texts.join(), streamed]) {
    expect(heard).not.toContain(SECRET);
    expect(heard).not.toContain(id);
    expect(heard).not.toContain(alice.userId);
  }
  abort.abort();
  await read;
  socket.close();
  older.close();
});

test("a row whose owner changes is deleted for one and sent whole to the other", async () => {
  const id = await alice.insert("Note", { text: "an heirloom", ownerId: alice.userId, size: 42 });
  const cursor = (
    (await alice.request("GET", "/api/sync/pull?since=0&limit=0")).body["cursor"] as {
      last_seq: number;
    }
  ).last_seq;
  const [from, to] = await Promise.all([alice.live(cursor).ready(), bob.live(cursor).ready()]);
  expect(
    (await alice.request("PATCH", `/api/entities/Note/${id}`, { ownerId: bob.userId })).status,
  ).toBe(200);

  const [left] = await from.heard(1);
  expect(left).toMatchObject({ kind: "delete", row_id: id });
  expect(left).not.toHaveProperty("data");
  const [arrived] = await to.heard(1);
  expect(arrived).toMatchObject({
    kind: "insert",
    row_id: id,
    data: { id, text: "an heirloom", size: 42, ownerId: bob.userId },
  });

  const missed = await alice.request("GET", `/api/sync/pull?since=${cursor}`);
  expect(missed.body["changes"]).toEqual([expect.objectContaining({ kind: "delete", row_id: id })]);
  expect(missed.text).not.toContain(bob.userId);
  from.close();
  to.close();
});

test("an update can't take ownership, and an insert can't set another owner", async () => {
  const id = await alice.insert("Note", { text: "mine", ownerId: alice.userId });
  expect(
    (await bob.request("PATCH", `/api/entities/Note/${id}`, { ownerId: bob.userId })).status,
  ).toBe(404);
  const forged = await bob.request("POST", "/api/entities/Note", {
    text: "forged",
    ownerId: alice.userId,
  });
  expect(forged).toMatchObject({ status: 403, body: { error: { code: "POLICY_DENIED" } } });
});

test("an entity without a policy is closed outside of dev mode", async () => {
  const open = await startServer(
    appOf(buildManifest({ name: "x", version: "1.0.0", entities: [Note] })),
  );
  const caller = await TestClient.guest(open.url);
  expect(
    (await caller.request("POST", "/api/entities/Note", { text: "a", ownerId: "b" })).status,
  ).toBe(403);
  expect((await caller.request("GET", "/api/entities/Note")).body["data"]).toEqual([]);
  await open.stop();
});

test("a signed-out user's socket closes within a second, and the token is invalid", async () => {
  const carol = await TestClient.guest(server.url);
  const socket = await carol.live(0).ready();
  await carol.request("DELETE", "/api/auth/session");
  await until(() => socket.closed !== null, 1000);
  expect(socket.closed?.code).toBe(4401);
  expect((await carol.request("GET", "/api/auth/session")).status).toBe(401);
  const again = carol.live(0);
  await until(() => again.closed !== null);
  expect(again.closed?.code).toBe(1008);
});

test("a page of another site can't open a socket or a stream", async () => {
  const headers = {
    Origin: "https://evil.example",
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  expect((await fetch(`${server.url}/ws`, { headers })).status).toBe(403);
  expect(
    (await fetch(`${server.url}/events`, { headers: { Origin: "https://evil.example" } })).status,
  ).toBe(403);
  const answer = await fetch(`${server.url}/health`, {
    headers: { Origin: "https://evil.example" },
  });
  expect(answer.headers.get("access-control-allow-origin")).toBeNull();
  await aMoment();
});
