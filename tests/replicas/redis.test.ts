import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { aMoment, TestClient, until, type LiveSocket } from "../support/client.ts";
import { processorWaitMs } from "../support/processor-wait.ts";
import { GraceMarker } from "../support/grace-marker.ts";
import { RedisServer } from "../support/servers/redis.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { SHORT_TIMES } from "../support/short-times.ts";

// Several replicas on one Redis. Each has a separate database here, so the admin signs the same
// user in on each. Leases and grace periods of rooms are shorter than those of `pylon start`.

const app = appOf(
  buildManifest({
    name: "replicas",
    version: "1.0.0",
    entities: [entity("Note", { text: field.string() })],
  }),
);

let redis: RedisServer;
let servers: TestServer[] = [];
let sockets: LiveSocket[] = [];
const children: Bun.Subprocess[] = [];
beforeAll(async () => {
  redis = await RedisServer.start();
});
afterEach(async () => {
  for (const socket of sockets) socket.close();
  await Promise.all(servers.map((server) => server.stop()));
  servers = [];
  sockets = [];
});
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await redis.stop();
});

async function replica(env: Readonly<Record<string, string>> = {}): Promise<TestServer> {
  const values = { REDIS_URL: redis.url, PYLON_DRAIN_SECS: "1", ...env };
  const server = await startServer(app, values, {}, SHORT_TIMES);
  servers.push(server);
  return server;
}

function adminOf(url: string): TestClient {
  return new TestClient(url, ADMIN_TOKEN);
}

async function signIn(url: string, userId: string): Promise<TestClient> {
  const { body } = await adminOf(url).request("POST", "/api/auth/session", { user_id: userId });
  return new TestClient(url, body["token"] as string, userId);
}

async function live(client: TestClient): Promise<LiveSocket> {
  const socket = await client.live(0).ready();
  sockets.push(socket);
  return socket;
}

let markers = 0;
/** Marks the grace period of a user on the server with this URL, whom a watcher sees. */
async function marker(url: string, watcher: TestClient, watched: LiveSocket): Promise<GraceMarker> {
  return GraceMarker.of(await signIn(url, `marker-${(markers += 1)}`), watcher, watched);
}

function join(
  client: TestClient,
  room: string,
  data: unknown = null,
): ReturnType<TestClient["request"]> {
  return client.request("POST", "/api/rooms/join", { room, data });
}

async function usersIn(url: string, room: string): Promise<string[]> {
  const { body } = await adminOf(url).request("GET", `/api/rooms/${room}`);
  return ((body["members"] ?? []) as { readonly user_id: string }[])
    .map(({ user_id: id }) => id)
    .toSorted();
}

/** The messages of a room that a socket has received, such as `join u1`. */
function heard(socket: LiveSocket, room: string): string[] {
  return socket.texts
    .map((text) => JSON.parse(text) as Readonly<Record<string, unknown>>)
    .filter((message) => message["room"] === room)
    .map((message) => [message["type"], message["user_id"] ?? message["topic"]].join(" "));
}

/** The number of the last room. Each test uses a new room. */
let rooms = 0;
function newRoom(): string {
  return `room-${(rooms += 1)}`;
}

test("the plugin cache_client sets the URL of Redis, from an environment variable", async () => {
  const plugged = appOf(
    buildManifest({
      name: "plugged",
      version: "1.0.0",
      entities: [entity("Note", { text: field.string() })],
      plugins: [{ name: "cache_client", config: { url: "${env.MY_CACHE}" } }],
    }),
  );
  const [a, b] = await Promise.all([
    startServer(plugged, { MY_CACHE: redis.url }),
    startServer(plugged, { MY_CACHE: redis.url }),
  ]);
  servers.push(a, b);
  await join(await signIn(a.url, "u1"), "plugged");
  await until(async () => (await usersIn(b.url, "plugged")).length === 1);
  await expect(startServer(plugged)).rejects.toThrow(
    /"url" of the plugin cache_client requires the environment variable MY_CACHE/,
  );
});

test("a join on one replica is immediately visible and sent on the other", async () => {
  const [a, b] = await Promise.all([replica(), replica()]);
  const room = newRoom();
  const [alice, bob] = await Promise.all([signIn(a.url, "alice"), signIn(b.url, "bob")]);
  const watched = await live(bob);
  await join(bob, room);
  await until(() => heard(watched, room).length === 1);
  await join(alice, room);
  expect(await usersIn(b.url, room)).toEqual(["alice", "bob"]);
  await until(() => heard(watched, room).includes("join alice"), 1000);
});

test("all replicas receive the events of a room in the same order", async () => {
  const [a, b] = await Promise.all([replica(), replica()]);
  const room = newRoom();
  const [alice, bob] = await Promise.all([signIn(a.url, "alice"), signIn(b.url, "bob")]);
  const [left, right] = await Promise.all([live(alice), live(bob)]);
  await Promise.all([join(alice, room), join(bob, room)]);
  const topics = (socket: LiveSocket): string[] =>
    heard(socket, room).filter((line) => line.startsWith("broadcast"));
  await Promise.all(
    [alice, bob].flatMap((client) =>
      Array.from({ length: 200 }, (_, n) =>
        client.request("POST", "/api/rooms/broadcast", { room, topic: `${client.userId}-${n}` }),
      ),
    ),
  );
  await until(() => topics(left).length === 400 && topics(right).length === 400);
  expect(topics(left)).toEqual(topics(right));
});

test("clients' messages and a user's disconnect reach the other replica", async () => {
  const [a, b] = await Promise.all([replica(), replica()]);
  const [speaker, listener] = await Promise.all([
    signIn(a.url, "speaker"),
    signIn(b.url, "listener"),
  ]);
  const [mouth, watched] = await Promise.all([live(speaker), live(listener)]);
  const room = newRoom();
  for (const user of [speaker, listener]) await join(user, room);
  mouth.socket.send(JSON.stringify({ type: "topic", topic: "chat", data: "hi", from: "mallory" }));
  await until(() =>
    watched.texts.includes('{"type":"topic","topic":"chat","data":"hi","from":"speaker"}'),
  );
  const elsewhere = await live(await signIn(b.url, "speaker"));
  await aMoment();
  mouth.close();
  await aMoment();
  expect(watched.texts.filter((text) => text.includes('"disconnect"'))).toEqual([]);
  elsewhere.close();
  await until(() =>
    watched.texts.some(
      (text) => text.includes('"disconnect"') && text.includes('"from":"speaker"'),
    ),
  );
});

test("a user who changes replicas within the grace period stays in the room", async () => {
  const [a, b] = await Promise.all([replica(), replica()]);
  const room = newRoom();
  const watcher = await signIn(a.url, "watcher");
  const watched = await live(watcher);
  await join(watcher, room);
  const user = await signIn(a.url, "wanderer");
  const socket = await live(user);
  await join(user, room);
  const grace = await marker(a.url, watcher, watched);
  socket.close();
  await until(() => socket.closed !== null);
  await aMoment();
  await live(await signIn(b.url, "wanderer"));
  await grace.passed();
  expect(await usersIn(b.url, room)).toEqual(["wanderer", "watcher"]);
  expect(heard(watched, room)).toEqual(["join watcher", "join wanderer"]);
}, 60_000);

test("a replica that is stopped hands its members over", async () => {
  const [a, b] = await Promise.all([replica(), replica()]);
  const room = newRoom();
  const watcher = await signIn(a.url, "watcher");
  const watched = await live(watcher);
  await join(watcher, room);
  const connected = await signIn(b.url, "connected");
  await live(connected);
  await join(connected, room);
  await join(await signIn(b.url, "calling"), room);
  const leaving = await signIn(b.url, "leaving");
  await live(leaving);
  await join(leaving, room);
  const beyondLease = await marker(a.url, watcher, watched);
  await b.stop();
  servers = servers.filter((server) => server !== b);
  // The lease has expired, but not the time that it left to its members.
  await beyondLease.passed();
  expect(heard(watched, room).filter((line) => line.startsWith("leave"))).toEqual([]);
  await live(await signIn(a.url, "connected"));
  await until(() => heard(watched, room).includes("leave leaving"));
  await (await marker(a.url, watcher, watched)).passed();
  expect(await usersIn(a.url, room)).toEqual(["calling", "connected", "watcher"]);
  expect(heard(watched, room).slice(-2)).toEqual(["join leaving", "leave leaving"]);
}, 60_000);

/** Starts a replica in a separate process. */
async function spawnReplica(): Promise<{ readonly url: string; readonly child: Bun.Subprocess }> {
  const child = Bun.spawn(
    [process.execPath, new URL("../support/replica.ts", import.meta.url).pathname, redis.url],
    { stdout: "pipe", stderr: "inherit" },
  );
  children.push(child);
  const { value } = await child.stdout.getReader().read();
  return { url: new TextDecoder().decode(value).trim(), child };
}

test("a replica that was paused returns with its members", async () => {
  const a = await replica();
  const { url, child } = await spawnReplica();
  const room = newRoom();
  const watcher = await signIn(a.url, "watcher");
  const watched = await live(watcher);
  await join(watcher, room);
  const sleeper = await signIn(url, "sleeper");
  await live(sleeper);
  await join(sleeper, room);
  child.kill("SIGSTOP");
  await until(() => heard(watched, room).includes("leave sleeper"), 10_000);
  child.kill("SIGCONT");
  await until(() => heard(watched, room).at(-1) === "join sleeper");
  await (await marker(a.url, watcher, watched)).passed();
  expect(heard(watched, room)).toEqual([
    "join watcher",
    "join sleeper",
    "leave sleeper",
    "join sleeper",
  ]);
  expect(await usersIn(a.url, room)).toEqual(["sleeper", "watcher"]);
  child.kill("SIGKILL");
}, 60_000);

test("a killed replica leaves its rooms after its lease, and each leave is sent once", async () => {
  const a = await replica();
  const { url, child } = await spawnReplica();
  const [shared, own] = [newRoom(), newRoom()];
  const watcher = await signIn(a.url, "watcher");
  const watched = await live(watcher);
  await join(watcher, shared);
  const connected = await signIn(url, "doomed");
  const mouth = await live(connected);
  await join(connected, shared);
  await join(connected, own);
  mouth.socket.send(JSON.stringify({ type: "presence", event: "update", data: "here" }));
  await until(() => watched.texts.some((text) => text.includes('"here"')));
  await join(await signIn(url, "doomed-caller"), shared);
  expect(await usersIn(a.url, shared)).toEqual(["doomed", "doomed-caller", "watcher"]);
  child.kill("SIGKILL");
  await until(
    async () =>
      (await usersIn(a.url, shared)).length === 1 && (await usersIn(a.url, own)).length === 0,
    15_000,
  );
  await aMoment();
  expect(
    heard(watched, shared)
      .filter((line) => line.startsWith("leave"))
      .toSorted(),
  ).toEqual(["leave doomed", "leave doomed-caller"]);
  expect(
    watched.texts.filter(
      (text) => text.includes('"disconnect"') && text.includes('"from":"doomed"'),
    ),
  ).toHaveLength(1);
}, 60_000);

test("both replicas share one rate limit", async () => {
  const env = { PYLON_RATE_LIMIT_MAX: "10", PYLON_RATE_LIMIT_WINDOW: "60" };
  const [a, b] = await Promise.all([replica(env), replica(env)]);
  const statuses: number[] = [];
  for (let n = 0; n < 12; n += 1)
    statuses.push(
      (await new TestClient((n % 2 === 0 ? a : b).url, null).request("GET", "/api/auth/me")).status,
    );
  expect(statuses).toEqual([...Array.from({ length: 10 }, () => 200), 429, 429]);
});

test("a server starts and serves without Redis, and limits rates by itself", async () => {
  const nowhere = await RedisServer.start({ isUp: false });
  const server = await startServer(app, {
    REDIS_URL: nowhere.url,
    PYLON_RATE_LIMIT_MAX: "10",
    PYLON_RATE_LIMIT_WINDOW: "60",
  });
  servers.push(server);
  const guest = await TestClient.guest(server.url);
  expect((await join(guest, "alone")).status).toBe(200);
  const statuses: number[] = [];
  for (let n = 0; n < 10; n += 1) statuses.push((await guest.request("GET", "/api/rooms")).status);
  expect(statuses).toEqual([...Array.from({ length: 8 }, () => 200), 429, 429]);
  await nowhere.start();
  await nowhere.stop();
});

test("Redis dies and returns empty: requests are served, and the rooms converge", async () => {
  const [a, b] = await Promise.all([replica(), replica()]);
  const room = newRoom();
  const [alice, bob, carol] = await Promise.all([
    signIn(a.url, "alice"),
    signIn(b.url, "bob"),
    signIn(a.url, "carol"),
  ]);
  const [watched, bobsSocket] = await Promise.all([live(alice), live(bob)]);
  for (const client of [alice, bob, carol]) await join(client, room, { of: client.userId });
  // By then both replicas know all joins.
  await until(() => heard(watched, room).length === 3 && heard(bobsSocket, room).length === 2);
  await redis.kill();
  const started = performance.now() - processorWaitMs();
  const dave = await signIn(b.url, "dave");
  expect((await join(dave, room)).status).toBe(200);
  expect((await carol.request("POST", "/api/rooms/leave", { room })).body).toEqual({
    left: room,
    was_present: true,
  });
  for (let n = 0; n < 60; n += 1)
    expect(
      (await alice.request("POST", "/api/rooms/presence", { room, data: { moved: true } })).body,
    ).toEqual({ updated: true });
  // If each request had waited for Redis, which takes 500 ms, these would have taken 30 s.
  // What other programs of the machine have cost does not count.
  expect(performance.now() - processorWaitMs() - started).toBeLessThan(20_000);
  expect(await usersIn(a.url, room)).toEqual(["alice"]);
  expect(await usersIn(b.url, room)).toEqual(["bob", "dave"]);
  await redis.start();
  const everybody = ["alice", "bob", "dave"];
  await until(
    async () =>
      (await usersIn(a.url, room)).join() === everybody.join() &&
      (await usersIn(b.url, room)).join() === everybody.join(),
    10_000,
  );
  await (await marker(a.url, alice, watched)).passed();
  expect(await usersIn(a.url, room)).toEqual(everybody);
  const { body } = await bob.request("GET", `/api/rooms/${room}`);
  expect(body["members"]).toContainEqual({
    user_id: "alice",
    data: { moved: true },
    joined_at: expect.any(String) as string,
  });
  const snapshots = watched.texts
    .map((text) => JSON.parse(text) as { type?: string; peers?: { user_id: string }[] })
    .filter(({ type }) => type === "snapshot");
  const known = new Set(
    heard(watched, room)
      .filter((line) => line.startsWith("join"))
      .map((line) => line.slice(5)),
  );
  for (const { user_id: id } of snapshots.at(-1)?.peers ?? []) known.add(id);
  expect([...known].toSorted()).toEqual(["alice", "bob", "carol", "dave"]);
  expect(heard(watched, room).filter((line) => line === "join dave").length).toBeLessThanOrEqual(1);
  expect(heard(watched, room).filter((line) => line.startsWith("leave"))).toEqual(["leave carol"]);
}, 60_000);

test("Redis hangs: a request waits for it at most once, and the rooms resume later", async () => {
  const [a, b] = await Promise.all([replica(), replica()]);
  const room = newRoom();
  const [alice, bob] = await Promise.all([signIn(a.url, "alice"), signIn(b.url, "bob")]);
  const [watched, bobsSocket] = await Promise.all([live(alice), live(bob)]);
  await join(alice, room);
  await join(bob, room);
  await until(() => heard(watched, room).length === 2 && heard(bobsSocket, room).length === 1);
  const beyondLease = await marker(a.url, alice, watched);
  redis.pause();
  const started = performance.now() - processorWaitMs();
  for (let n = 0; n < 60; n += 1) expect((await join(alice, newRoom())).status).toBe(200);
  // If each request had waited for Redis, which takes 500 ms, these would have taken 30 s.
  // What other programs of the machine have cost does not count.
  expect(performance.now() - processorWaitMs() - started).toBeLessThan(20_000);
  await beyondLease.passed();
  redis.resume();
  await until(
    async () =>
      (await usersIn(a.url, room)).join() === "alice,bob" &&
      (await usersIn(b.url, room)).join() === "alice,bob" &&
      (await usersIn(b.url, `room-${rooms}`)).join() === "alice",
    10_000,
  );
  await (await marker(b.url, alice, watched)).passed();
  expect(await usersIn(b.url, room)).toEqual(["alice", "bob"]);
  expect(heard(watched, room).filter((line) => line.startsWith("leave"))).toEqual([]);
}, 120_000);
