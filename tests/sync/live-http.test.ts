import { MAX_SUBSCRIBE_BYTES } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestClient, until } from "../support/client.ts";
import { QuerySocket } from "../support/query-socket.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

// Version 2 without a socket: POST /api/live opens an event stream or a polled connection, and POST
// /api/live/<id> sends what a socket would. Also the responses to invalid messages.

const app = appOf(
  buildManifest({
    name: "live-http",
    version: "1.0.0",
    entities: [entity("Note", { text: field.string(), ownerId: field.string().owner() })],
    policies: [policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" })],
  }),
);

let server: TestServer;
beforeAll(async () => {
  server = await startServer(app);
});
afterAll(() => server.stop());

interface Poll {
  readonly id?: string;
  readonly messages: readonly Record<string, unknown>[];
}

async function openPolls(client: TestClient, messages: readonly object[] = []): Promise<Poll> {
  const { body } = await client.request("POST", "/api/live", { transport: "poll", messages });
  return body as unknown as Poll;
}

/** Polls until a message of this type has arrived. */
async function polled(
  client: TestClient,
  { id, messages }: Poll,
  type: string,
): Promise<Record<string, unknown>[]> {
  const found = [...messages];
  while (!found.some((message) => message["type"] === type)) {
    const { status, body } = await client.request("POST", `/api/live/${id}`, {
      messages: [],
      wait: true,
    });
    expect(status).toBe(200);
    found.push(...(body as unknown as Poll).messages);
  }
  return found;
}

const SUBSCRIBE = { type: "subscribe", id: 1, entity: "Note" };

test("polls return what a socket would, from the first request on", async () => {
  const ann = await TestClient.guest(server.url);
  const id = await ann.insert("Note", { text: "one" });
  const poll = await openPolls(ann, [SUBSCRIBE]);
  const first = await polled(ann, poll, "ready");
  expect(first.map(({ type }) => type)).toEqual(["hello", "joined", "rows", "ready"]);
  expect(first[2]).toMatchObject({ reset: true, rows: [{ id, text: "one" }] });
  // A waiting poll gets its response as soon as there is a message.
  const waiting = polled(ann, { ...poll, messages: [] }, "commit");
  await ann.request("PATCH", `/api/entities/Note/${id}`, { text: "two" });
  expect((await waiting).at(-1)).toMatchObject({ changes: [{ patches: [{ id, text: "two" }] }] });
  const { status } = await ann.request("POST", `/api/live/${poll.id}`, {
    messages: [{ type: "unsubscribe", id: 1 }, { type: "ping" }],
  });
  expect(status).toBe(200);
  await polled(ann, { ...poll, messages: [] }, "pong");
});

test("a connection belongs to its caller, and ends with the session", async () => {
  const ann = await TestClient.guest(server.url);
  const bob = await TestClient.guest(server.url);
  const { id } = await openPolls(ann);
  for (const [client, path] of [
    [bob, `/api/live/${id}`],
    [new TestClient(server.url, null), `/api/live/${id}`],
    [ann, "/api/live/another"],
  ] as const) {
    const { status, body } = await client.request("POST", path, { messages: [] });
    expect([status, body]).toMatchObject([404, { error: { code: "NOT_FOUND" } }]);
  }
  const held = fetch(`${server.url}/api/live/${id}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${ann.token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ messages: [], wait: true }),
  });
  await fetch(`${server.url}/api/live/${id}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${ann.token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ messages: [] }),
  });
  await ann.request("DELETE", "/api/auth/session");
  expect((await held).status).toBe(200);
});

test("an invalid request is rejected with its field", async () => {
  const ann = await TestClient.guest(server.url);
  const { id } = await openPolls(ann);
  for (const [path, body, at] of [
    ["/api/live", { transport: "pigeon" }, "transport"],
    ["/api/live", { transport: "poll", messages: ["text"] }, "messages.0"],
    [`/api/live/${id}`, {}, "messages"],
    [`/api/live/${id}`, { messages: [], wait: 1 }, "wait"],
  ] as const) {
    const { status, body: answer } = await ann.request("POST", path, body);
    expect([status, answer]).toMatchObject([400, { error: { code: "INVALID_DATA", field: at } }]);
  }
});

test("a client that sends too much is cut off", async () => {
  const ann = await TestClient.guest(server.url);
  const { id } = await openPolls(ann);
  const messages = Array.from({ length: 150 }, () => ({ type: "ping" }));
  const statuses = [];
  for (let times = 0; times < 3; times += 1)
    statuses.push((await ann.request("POST", `/api/live/${id}`, { messages })).status);
  expect(statuses[0]).toBe(200);
  expect(statuses.at(-1)).not.toBe(200);
});

test("a stream starts with its connection id, and carries what requests subscribe to", async () => {
  const ann = await TestClient.guest(server.url);
  const abort = new AbortController();
  const response = await fetch(`${server.url}/api/live`, {
    method: "POST",
    headers: { Authorization: `Bearer ${ann.token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ transport: "sse" }),
    signal: abort.signal,
  });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  let text = "";
  const reading = (async () => {
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? [])
      text += chunk;
  })().catch(() => undefined);
  await until(() => text.includes("hello"));
  const [, id] = /"type":"connection","id":"([^"]+)"/.exec(text) ?? [];
  const path = `/api/live/${id}`;
  expect((await ann.request("POST", path, { messages: [SUBSCRIBE] })).status).toBe(200);
  await until(() => text.includes('"ready"'));
  await ann.insert("Note", { text: "over the stream" });
  await until(() => text.includes("over the stream"));
  const { status } = await ann.request("POST", path, { messages: [], wait: true });
  expect(status).toBe(400);
  abort.abort();
  await reading;
  const isOver = async (): Promise<boolean> =>
    (await ann.request("POST", path, { messages: [] })).status === 404;
  await until(isOver);
});

test("every invalid message of version 2 gets an error", async () => {
  const ann = await TestClient.guest(server.url);
  const live = await QuerySocket.open(ann);
  const ids = Array.from({ length: 900 }, (_, index) => `${index}-${"x".repeat(200)}`);
  const known = { seq: 1, epoch: "e", ids };
  expect(JSON.stringify(known).length).toBeGreaterThan(MAX_SUBSCRIBE_BYTES);
  const anonymous = await QuerySocket.open(new TestClient(server.url, null));
  const presence = { type: "presence", event: "update", data: {} };
  live.socket.send("no JSON");
  live.socket.send("[1]");
  live.socket.send(new Uint8Array([1, 2, 3]));
  live.send({ type: "shout" });
  live.send({ ...presence, data: "x".repeat(20_000) });
  live.send({ ...SUBSCRIBE, id: 7, limit: 900, known });
  live.send({ type: "subscribe", id: 8 });
  anonymous.send(presence);
  await until(() => live.all("error").length === 7 && anonymous.all("error").length === 1);
  expect(live.all("error").map(({ id, code }) => [id, code])).toEqual([
    [0, "INVALID_JSON"],
    [0, "INVALID_JSON"],
    [0, "INVALID_JSON"],
    [0, "INVALID_DATA"],
    [0, "PAYLOAD_TOO_LARGE"],
    [7, "PAYLOAD_TOO_LARGE"],
    [8, "INVALID_QUERY"],
  ]);
  expect(anonymous.all("error")[0]).toMatchObject({ id: 0, code: "AUTH_REQUIRED" });
  for (let count = 0; count < 25; count += 1) live.send(presence);
  await until(() => live.all("error").some(({ code }) => code === "RATE_LIMITED"));
  live.socket.close();
  anonymous.socket.close();
});
