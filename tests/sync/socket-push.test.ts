import {
  MAX_SOCKET_PUSH_LENGTH,
  type ClientChange,
  type PushedMessage,
  type PushRequest,
} from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestClient, until } from "../support/client.ts";
import { QuerySocket } from "../support/query-socket.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// Pushes over the socket follow the rules of POST /api/sync/push.

const app = appOf(
  buildManifest({
    name: "socket-push",
    version: "1.0.0",
    entities: [
      entity("Note", {
        text: field.string(),
        n: field.int().default(0),
        ownerId: field.string().owner(),
      }),
    ],
    policies: [policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" })],
  }),
);

let server: TestServer;
beforeAll(async () => {
  server = await startServer(app);
});
afterAll(() => server.stop());

let ids = 0;
/** Sends a push over the socket. */
async function pushed(socket: QuerySocket, body: object): Promise<PushedMessage> {
  const id = (ids += 1);
  socket.send({ type: "push", id, ...body });
  const answer = (): PushedMessage | undefined =>
    socket.all("pushed").find((message) => message.id === id);
  await until(() => answer() !== undefined);
  return answer() as PushedMessage;
}

function insert(id: string, more: Partial<ClientChange> = {}): ClientChange {
  return { entity: "Note", row_id: id, kind: "insert", data: { text: id }, op_id: id, ...more };
}

function push(...changes: readonly ClientChange[]): PushRequest {
  return { changes: [...changes], results: true };
}

async function open(client: TestClient): Promise<QuerySocket> {
  const socket = await QuerySocket.open(client);
  expect(socket.messages[0]).toMatchObject({ type: "hello", push: true });
  return socket;
}

async function textsOf(client: TestClient): Promise<unknown[]> {
  const { body } = await client.request("GET", "/api/entities/Note");
  return (body["data"] as { readonly text: string }[]).map(({ text }) => text);
}

test("a push over the socket is answered like the same push over HTTP", async () => {
  const bodies: readonly object[] = [
    push(insert("a"), insert("b", { data: {} }), insert("c", { entity: "Nothing" })),
    push(insert("a")),
    push(insert("a", { data: { text: "another" } })),
    push({ entity: "Note", row_id: "a", kind: "update", data: { n: { $increment: 2 } } }),
    push({ entity: "Note", row_id: "a", kind: "update", data: { n: 1 }, if_unchanged: { n: 1 } }),
    { changes: [insert("d"), insert("e", { data: { n: "one" } }), insert("f")] },
    { changes: [{ entity: "Note" }], results: true },
    { changes: "none" },
    {},
  ];
  const [overHttp, overSocket] = [
    await TestClient.guest(server.url),
    await TestClient.guest(server.url),
  ];
  const socket = await open(overSocket);
  // The rows of each have ids of their own.
  const own = (body: object, prefix: string): object =>
    JSON.parse(JSON.stringify(body).replaceAll('"row_id":"', `"row_id":"${prefix}`)) as object;
  const plain = (value: unknown): unknown =>
    JSON.parse(
      JSON.stringify(value)
        .replaceAll(/(?:http|sock)/g, "")
        .replaceAll(/"last_seq":\d+/g, '"last_seq":0'),
    );
  for (const body of bodies) {
    const http = await overHttp.request("POST", "/api/sync/push", own(body, "http"));
    const { answer, status = 200, error } = await pushed(socket, own(body, "sock"));
    const { request_id: _, ...refusal } = (http.body["error"] ?? {}) as Record<string, unknown>;
    expect([body, status]).toEqual([body, http.status]);
    if (http.status === 200) expect(plain(answer)).toEqual(plain(http.body));
    else expect(error).toEqual(refusal as never);
  }
  expect(await textsOf(overSocket)).toEqual(await textsOf(overHttp));
  socket.socket.close();
});

test.each<[unknown]>([[undefined], [null], ["1"], [-1], [1.5], [2 ** 53]])(
  "a push with the id %p, which its answer can't name, is refused and not applied",
  async (id) => {
    const client = await TestClient.guest(server.url);
    const socket = await open(client);
    socket.send({ type: "push", id, ...push(insert("nameless")) });
    const named = `named-${(ids += 1)}`;
    socket.send({ type: "push", id: 0, ...push(insert(named)) });
    await until(() => socket.all("pushed").length > 0);
    expect(socket.all("error")).toMatchObject([{ id: 0, code: "INVALID_DATA", field: "id" }]);
    expect(socket.all("pushed")).toMatchObject([{ id: 0, answer: { applied: 1 } }]);
    expect(await textsOf(client)).toEqual([named]);
    socket.socket.close();
  },
);

test("a push that lost its response is applied once, however it is repeated", async () => {
  const client = await TestClient.guest(server.url);
  const request = push(insert("once", { data: { text: "once", n: 1 } }));
  const first = await open(client);
  first.send({ type: "push", id: 1, ...request });
  first.socket.close();
  const { body } = await client.request("POST", "/api/sync/push", request);
  const second = await open(client);
  const { answer } = await pushed(second, request);
  expect(body["errors"]).toEqual([] as never);
  expect(answer).toMatchObject({ applied: 1, deduped: 1 });
  expect(await textsOf(client)).toEqual(["once"]);
  second.socket.close();
});

test("a subscriber sees a push, whose response names the change", async () => {
  const client = await TestClient.guest(server.url);
  const socket = await open(client);
  await socket.subscribe({ entity: "Note" });
  const { answer } = await pushed(socket, push(insert("seen")));
  const [commit] = await socket.commits(1);
  expect(commit?.seq).toBe(answer?.cursor.last_seq ?? 0);
  socket.socket.close();
});

test("a long push is refused as a whole", async () => {
  const client = await TestClient.guest(server.url);
  const socket = await open(client);
  const text = "x".repeat(MAX_SOCKET_PUSH_LENGTH);
  const long = await pushed(socket, push(insert("long", { data: { text } })));
  expect(long).toMatchObject({ status: 413, error: { code: "PAYLOAD_TOO_LARGE" } });
  expect(await textsOf(client)).toEqual([]);
  socket.socket.close();
});

test("a push counts against the limit of requests", async () => {
  const limited = await startServer(app, { PYLON_RATE_LIMIT_MAX: "6" });
  try {
    const client = await TestClient.guest(limited.url);
    const socket = await open(client);
    const statuses: number[] = [];
    for (const id of ["1", "2", "3", "4", "5"])
      statuses.push((await pushed(socket, push(insert(id)))).status ?? 200);
    expect(statuses).toEqual([200, 200, 200, 200, 429]);
    socket.socket.close();
  } finally {
    await limited.stop();
  }
});

test("nothing is pushed by a session that has ended", async () => {
  const client = await TestClient.guest(server.url);
  const socket = await open(client);
  socket.send({ type: "push", id: 1, ...push(insert("before")) });
  await until(() => socket.all("pushed").length === 1);
  await client.request("DELETE", "/api/auth/session");
  socket.send({ type: "push", id: 2, ...push(insert("after")) });
  await until(() => socket.closed !== null);
  expect(socket.all("pushed")).toHaveLength(1);
  const { body } = await new TestClient(server.url, ADMIN_TOKEN).request("GET", "/api/sync/pull");
  expect(JSON.stringify(body)).toContain('"before"');
  expect(JSON.stringify(body)).not.toContain('"after"');
});

test("a connection without a socket offers no pushes, and refuses them", async () => {
  const client = await TestClient.guest(server.url);
  const opened = await client.request("POST", "/api/live", { transport: "poll" });
  const { id, messages } = opened.body as { id: string; messages: object[] };
  expect(messages[0]).toMatchObject({ type: "hello" });
  expect(messages[0]).not.toHaveProperty("push");
  const said = { messages: [{ type: "push", id: 1, ...push(insert("polled")) }], wait: true };
  const { text } = await client.request("POST", `/api/live/${id}`, said);
  expect(text).toContain('"type":"error"');
  expect(await textsOf(client)).toEqual([]);
});
