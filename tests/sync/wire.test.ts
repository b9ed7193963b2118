import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { loadApp } from "@pylonsync/server";
import { LiveSocket, TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { freePorts } from "../support/servers/free-port.ts";

// What clients of the public system rely on: shapes, ports and orders that must not change.

const app = appOf(
  buildManifest({
    name: "wire",
    version: "1.0.0",
    entities: [
      entity("Person", { name: field.string() }),
      entity(
        "Task",
        {
          title: field.string(),
          rank: field.int().default(0),
          personId: field.id("Person").optional(),
        },
        { relations: [{ name: "person", target: "Person", field: "personId" }] },
      ),
    ],
    policies: [
      policy({ name: "people", entity: "Person", allow: "true" }),
      policy({
        name: "tasks",
        entity: "Task",
        allowRead: "true",
        allowWrite: "data.title != 'no'",
      }),
    ],
  }),
);

/** The first of the consecutive ports that older clients rely on. */
let port: number;
let server: TestServer;
let client: TestClient;
beforeAll(async () => {
  port = await freePorts(4);
  server = await startServer(app, { PYLON_PORT: String(port) });
  client = await TestClient.guest(server.url);
});
afterAll(() => server.stop());

test("health is exactly what existing load balancers expect, on every port", async () => {
  for (const each of [port, port + 1, port + 2]) {
    const answer = await fetch(`http://localhost:${each}/health`);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toMatch(/^\{"status":"ok","uptime_seconds":\d+\}$/);
  }
});

test("lists, rows and writes have the documented shapes", async () => {
  const { status, body } = await client.request("POST", "/api/entities/Task", { title: "a" });
  expect([status, Object.keys(body)]).toEqual([201, ["id"]]);
  const id = body["id"] as string;
  expect(id).toMatch(/^[0-9a-f]{40}$/);
  expect((await client.request("GET", "/api/entities/Task?limit=1")).body).toEqual({
    data: [{ id, title: "a", rank: 0, personId: null }],
    count: 1,
    offset: 0,
    limit: 1,
    has_more: false,
  });
  expect((await client.request("GET", "/api/entities/Task/cursor?limit=1")).body).toEqual({
    data: [{ id, title: "a", rank: 0, personId: null }],
    next_cursor: null,
    has_more: false,
  });
  expect((await client.request("PATCH", `/api/entities/Task/${id}`, { rank: 3 })).body).toEqual({
    updated: true,
  });
  expect((await client.request("GET", `/api/lookup/Task/rank/3`)).body["id"]).toBe(id);
  expect((await client.request("DELETE", `/api/entities/Task/${id}`)).body).toEqual({
    deleted: true,
  });
  expect((await client.request("DELETE", `/api/entities/Task/${id}`)).status).toBe(404);
});

test("relations can be linked, included and unlinked", async () => {
  const person = await client.insert("Person", { name: "Ada" });
  const task = await client.insert("Task", { title: "b" });
  expect(
    (
      await client.request("POST", "/api/link", {
        entity: "Task",
        id: task,
        relation: "person",
        target_id: person,
      })
    ).body,
  ).toEqual({ linked: true });
  const graph = await client.request("POST", "/api/query", {
    Task: { where: { title: "b" }, include: { person: {} }, limit: 5 },
  });
  expect(graph.body["Task"]).toMatchObject([{ id: task, person: { id: person, name: "Ada" } }]);
  expect(
    (await client.request("POST", "/api/unlink", { entity: "Task", id: task, relation: "person" }))
      .body,
  ).toEqual({ unlinked: true });
  expect((await client.request("GET", `/api/entities/Task/${task}`)).body["personId"]).toBeNull();
});

test("each operation of a batch succeeds or fails alone, a transaction as a whole", async () => {
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const batch = await admin.request("POST", "/api/batch", {
    operations: [
      { op: "insert", entity: "Person", data: { name: "x" } },
      { op: "update", entity: "Person", id: "nope", data: { name: "y" } },
    ],
  });
  expect(batch.body).toMatchObject({
    succeeded: 1,
    failed: 1,
    results: [
      { op: "insert", ok: true },
      { op: "update", id: "nope", ok: false, error: { code: "NOT_FOUND" } },
    ],
  });
  const before = (await client.request("POST", "/api/query/Task", {})).text;
  const refused = await client.request("POST", "/api/transact", [
    { op: "insert", entity: "Task", data: { title: "t1" } },
    { op: "insert", entity: "Task", data: { title: "no" } },
  ]);
  expect(refused).toMatchObject({ status: 400, body: { committed: false } });
  expect((await client.request("POST", "/api/query/Task", {})).text).toBe(before);
});

test("an export can be imported, with the same ids", async () => {
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const { entities, counts } = (await admin.request("GET", "/api/export")).body as {
    entities: Record<string, unknown[]>;
    counts: Record<string, number>;
  };
  const other = await startServer(app);
  const target = new TestClient(other.url, ADMIN_TOKEN);
  const { body } = await target.request("POST", "/api/import", { entities });
  expect(body["failed"]).toBe(0);
  expect((await target.request("GET", "/api/export")).body["entities"]).toEqual(entities);
  const lines = (
    await target.request("GET", "/api/export", undefined, { Accept: "application/x-ndjson" })
  ).text
    .trim()
    .split("\n");
  expect(lines).toHaveLength(Object.values(counts).reduce((sum, count) => sum + count, 0));
  await other.stop();
});

test("an older client's push stops at the first rejection, so that results match", async () => {
  const changes = ["p1", "no", "p3"].map((title, n) => ({
    entity: "Task",
    row_id: `_pending_${n}`,
    kind: "insert",
    data: { title },
    op_id: `mut_${n}`,
  }));
  const first = (await client.request("POST", "/api/sync/push", { changes, client_id: "c" })).body;
  expect(first).toMatchObject({
    applied: 1,
    deduped: 0,
    errors: ["insert Task: The policies of Task do not allow this insert."],
  });
  expect(first).not.toHaveProperty("results");
  const again = (
    await client.request("POST", "/api/sync/push", { changes: [changes[0], changes[2]] })
  ).body;
  expect(again).toMatchObject({ applied: 2, deduped: 1, errors: [] });
  expect((await client.request("GET", "/api/entities/Task/_pending_0")).body["title"]).toBe("p1");
});

test("an older client's socket is on the next port, its stream on the one after", async () => {
  const socket = new LiveSocket(`ws://localhost:${port + 1}/`, client.token);
  await socket.opened();
  const abort = new AbortController();
  const stream = await fetch(`http://localhost:${port + 2}/events`, { signal: abort.signal });
  expect(stream.headers.get("content-type")).toBe("text/event-stream");
  let streamed = "";
  const reading = (async () => {
    for await (const chunk of stream.body ?? []) streamed += new TextDecoder().decode(chunk);
  })().catch(() => undefined);
  await until(() => streamed.startsWith(": connected\n\n"));
  const id = await client.insert("Task", { title: "live" });
  await until(() => socket.texts.some((text) => text.includes(id)) && streamed.includes(id));
  const event = JSON.parse(socket.texts.find((text) => text.includes(id)) ?? "") as Record<
    string,
    unknown
  >;
  expect(Object.keys(event).toSorted()).toEqual([
    "data",
    "entity",
    "kind",
    "row_id",
    "seq",
    "timestamp",
  ]);
  expect(streamed).toContain(`data: ${JSON.stringify(event)}\n\n`);
  abort.abort();
  await reading;
  socket.close();
});

test("on the next port a socket without a token is closed until it has one", async () => {
  const before = new LiveSocket(`ws://localhost:${port + 1}/`, null);
  await until(() => before.closed !== null);
  expect(before.closed).toEqual({ code: 1008, reason: "unauthorized: bearer token required" });
  const elsewhere = await new LiveSocket(`ws://localhost:${port}/ws?since=0`, null).ready();
  elsewhere.close();
  const after = await new LiveSocket(`ws://localhost:${port + 1}/`, client.token).opened();
  const id = await client.insert("Person", { name: "One who signed in late" });
  await until(() => after.events.some(({ row_id: rowId }) => rowId === id));
  after.close();
});

test("the root path accepts a socket too, for clients behind one port", async () => {
  const socket = new LiveSocket(`ws://localhost:${port}/`, client.token);
  await socket.opened();
  socket.socket.send('{"type":"ping"}');
  await until(() => socket.texts.includes('{"type":"pong"}'));
  socket.close();
});

test("CORS allows only the configured origins", async () => {
  const own = await startServer(app, { PYLON_CORS_ORIGIN: "https://app.example.com" });
  const ask = (origin: string): Promise<Response> =>
    fetch(`${own.url}/api/entities/Task`, {
      method: "OPTIONS",
      headers: { Origin: origin, "Access-Control-Request-Method": "POST" },
    });
  const allowed = await ask("https://app.example.com");
  expect([
    allowed.status,
    allowed.headers.get("access-control-allow-origin"),
    allowed.headers.get("vary"),
  ]).toEqual([204, "https://app.example.com", "Origin"]);
  expect(
    (await ask("https://app.example.com.evil.test")).headers.get("access-control-allow-origin"),
  ).toBeNull();
  await own.stop();
});

test("a rate limit returns 429 with the time to wait, and ignores health checks", async () => {
  const own = await startServer(app, { PYLON_RATE_LIMIT_MAX: "3", PYLON_RATE_LIMIT_WINDOW: "30" });
  const statuses: number[] = [];
  for (let n = 0; n < 5; n += 1)
    statuses.push((await fetch(`${own.url}/api/entities/Task`)).status);
  expect(statuses).toEqual([200, 200, 200, 429, 429]);
  const refused = await fetch(`${own.url}/api/entities/Task`);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect((await fetch(`${own.url}/health`)).status).toBe(200);
  await own.stop();
});

test("pages and files of an app are not rate limited, missing ones are", async () => {
  const pages = await loadApp(join(import.meta.dir, "..", "support", "sign-in-app"), {
    dev: false,
  });
  const own = await startServer(pages, {
    PYLON_RATE_LIMIT_MAX: "3",
    PYLON_RATE_LIMIT_WINDOW: "30",
    PYLON_SSO_ENCRYPTION_KEY: "k".repeat(32),
  });
  const get = async (path: string): Promise<number> =>
    (await fetch(own.url + path, { headers: { Accept: path.includes(".") ? "*/*" : "text/html" } }))
      .status;
  const statuses: number[] = [];
  for (let n = 0; n < 5; n += 1) statuses.push(await get("/"));
  for (let n = 0; n < 5; n += 1) statuses.push(await get(`/none-${n}.js`));
  expect(statuses).toEqual([200, 200, 200, 200, 200, 404, 404, 404, 429, 429]);
  expect(await get("/")).toBe(200);
  await own.stop();
});

test("a script of an app is compressed, with a complete Vary header", async () => {
  const pages = await loadApp(join(import.meta.dir, "..", "support", "sign-in-app"), {
    dev: false,
  });
  const own = await startServer(pages, { PYLON_SSO_ENCRYPTION_KEY: "k".repeat(32) });
  const script =
    /src="(\/[^"]+\.js)"/.exec(await (await fetch(own.url)).text())?.[1] ?? "no script";
  const get = (headers: Record<string, string>): Promise<Response> =>
    fetch(own.url + script, { headers: { Origin: own.url, ...headers } });
  const plain = await get({ "Accept-Encoding": "identity" });
  const packed = await get({ "Accept-Encoding": "br" });
  expect(packed.headers.get("content-encoding")).toBe("br");
  expect(packed.headers.get("vary")).toBe("Accept-Encoding, Origin");
  expect(await packed.text()).toBe(await plain.text());
  const again = await get({
    "Accept-Encoding": "br",
    "If-None-Match": packed.headers.get("etag") ?? "",
  });
  expect([again.status, again.headers.get("vary"), await again.text()]).toEqual([
    304,
    "Accept-Encoding, Origin",
    "",
  ]);
  // A response with tokens is not compressed: its length would reveal them.
  const rows = await fetch(`${own.url}/api/auth/session`, {
    headers: { "Accept-Encoding": "br, gzip" },
  });
  expect([rows.status, rows.headers.get("content-encoding")]).toEqual([200, null]);
  await own.stop();
});

test("a server with an https URL sends HSTS, unless it is switched off", async () => {
  const said = async (env: Record<string, string>): Promise<(string | null)[]> => {
    const own = await startServer(app, env);
    const answers = await Promise.all(
      ["/health", "/api/entities/Task", "/nowhere"].map((path) => fetch(own.url + path)),
    );
    await own.stop();
    return [...new Set(answers.map(({ headers }) => headers.get("strict-transport-security")))];
  };
  expect(await said({ PYLON_PUBLIC_URL: "https://api.example.com" })).toEqual(["max-age=31536000"]);
  expect(
    await said({ PYLON_PUBLIC_URL: "https://api.example.com", PYLON_HSTS_MAX_AGE: "0" }),
  ).toEqual([null]);
  expect(await said({ PYLON_PUBLIC_URL: "http://api.example.com" })).toEqual([null]);
  expect(await said({ PYLON_PUBLIC_URL: "https://api.example.com", PYLON_DEV_MODE: "1" })).toEqual([
    null,
  ]);
});

test("security headers are on every response", async () => {
  for (const path of ["/health", "/api/entities/Task", "/nowhere"]) {
    const { headers } = await fetch(server.url + path);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("x-request-id")).toBeTruthy();
  }
});

test("metrics are Prometheus text, for the admin only", async () => {
  expect((await client.request("GET", "/metrics")).status).toBe(403);
  const { text } = await new TestClient(server.url, ADMIN_TOKEN).request("GET", "/metrics");
  expect(text).toMatch(
    new RegExp(
      String.raw`^pylon_http_request_duration_seconds_count\{route="/api/entities/:entity",` +
        String.raw`method="POST",status="2xx"\} \d+$`,
      "m",
    ),
  );
  expect(text).toMatch(/^pylon_live_connections\{transport="websocket"\} \d+$/m);
  expect(text).not.toContain(ADMIN_TOKEN);
});
