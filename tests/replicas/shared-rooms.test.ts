import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { aMoment, TestClient, until, type LiveSocket } from "../support/client.ts";
import { Cluster, type Replica } from "../support/cluster.ts";
import { GraceMarker } from "../support/grace-marker.ts";
import { ADMIN_TOKEN } from "../support/server.ts";
import { PostgresServer, WITHOUT_FLUSHING } from "../support/servers/postgres.ts";

// Rooms of several replicas, each in a separate process, with Postgres and without Redis.

const FILES = {
  "app.ts": `import { buildManifest, entity, field } from "@pylonsync/sdk";
export default buildManifest({ name: "rooms", version: "1.0.0", entities: [entity("Note", {
  text: field.string() })] });`,
};

/** Leases and grace periods of rooms are shorter than those of `pylon start`. */
const SHORT_TIMES_MAIN = new URL("../support/short-times.ts", import.meta.url).pathname;

let postgres: PostgresServer;
let cluster: Cluster;
let sockets: LiveSocket[] = [];

beforeAll(async () => {
  postgres = await PostgresServer.start(WITHOUT_FLUSHING);
  const env = { DATABASE_URL: await postgres.createDatabase(), PYLON_DRAIN_SECS: "1" };
  cluster = await Cluster.start(FILES, env, SHORT_TIMES_MAIN);
}, 60_000);
afterEach(() => {
  for (const socket of sockets) socket.close();
  sockets = [];
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await postgres.stop();
});

function replica(index: number): Replica {
  const found = cluster.replicas[index];
  if (found === undefined) throw new Error(`There is no replica ${index}.`);
  return found;
}

/** A user, signed in on one of the replicas. */
async function userOn(index: number, userId: string): Promise<TestClient> {
  const { url } = replica(index);
  const { body } = await new TestClient(url, ADMIN_TOKEN).request("POST", "/api/auth/session", {
    user_id: userId,
  });
  return new TestClient(url, body["token"] as string, userId);
}

async function live(client: TestClient): Promise<LiveSocket> {
  const socket = await client.live(0).ready();
  sockets.push(socket);
  return socket;
}

function call(
  client: TestClient,
  action: "join" | "leave" | "presence" | "broadcast",
  body: Readonly<Record<string, unknown>>,
): ReturnType<TestClient["request"]> {
  return client.request("POST", `/api/rooms/${action}`, body);
}

async function usersIn(index: number, room: string): Promise<string[]> {
  const { body } = await new TestClient(replica(index).url, ADMIN_TOKEN).request(
    "GET",
    `/api/rooms/${encodeURIComponent(room)}`,
  );
  return ((body["members"] ?? []) as { readonly user_id: string }[])
    .map(({ user_id: id }) => id)
    .toSorted();
}

/** Marks the grace period of a user on that replica, whom a watcher sees. */
async function marker(
  index: number,
  watcher: TestClient,
  memberSocket: LiveSocket,
): Promise<GraceMarker> {
  return GraceMarker.of(await userOn(index, newName("marker")), watcher, memberSocket);
}

type Message = Readonly<Record<string, unknown>>;
function messagesOf(socket: LiveSocket, room: string): Message[] {
  return socket.texts
    .map((text) => JSON.parse(text) as Message)
    .filter((message) => message["room"] === room);
}
/** The messages of a room that a socket has received, such as `join u1`. */
function heard(socket: LiveSocket, room: string): string[] {
  return messagesOf(socket, room).map((message) =>
    [message["type"], message["user_id"] ?? message["topic"]].join(" "),
  );
}

let names = 0;
function newName(kind: string): string {
  return `${kind}-${(names += 1)}`;
}

test("joins, presence, broadcasts and leaves of one replica reach the others", async () => {
  const room = newName("room");
  const [alice, bob] = await Promise.all([userOn(0, newName("alice")), userOn(1, newName("bob"))]);
  const [atAlice, atBob] = await Promise.all([live(alice), live(bob)]);
  await call(bob, "join", { room, data: { color: "red" } });
  await until(() => heard(atBob, room).length === 1);
  const { body } = await call(alice, "join", { room });
  expect(body["snapshot"]).toMatchObject({
    peers: [{ user_id: bob.userId, data: { color: "red" } }],
  });
  for (const index of [0, 1, 2])
    expect(await usersIn(index, room)).toEqual([alice.userId, bob.userId]);
  await until(() => heard(atBob, room).includes(`join ${alice.userId}`));
  await call(alice, "presence", { room, data: { x: 1 } });
  await call(bob, "broadcast", { room, topic: "from-bob", data: 1 });
  await call(alice, "broadcast", { room, topic: "from-alice", data: 2 });
  await call(alice, "leave", { room });
  const all = [
    `presence ${alice.userId}`,
    "broadcast from-bob",
    "broadcast from-alice",
    `leave ${alice.userId}`,
  ];
  await until(() =>
    [atAlice, atBob].every((socket) => heard(socket, room).at(-1) === `leave ${alice.userId}`),
  );
  for (const socket of [atAlice, atBob]) expect(heard(socket, room).slice(-4)).toEqual(all);
  expect(messagesOf(atBob, room).find(({ type }) => type === "presence")).toEqual({
    type: "presence",
    room,
    user_id: alice.userId,
    data: { x: 1 },
  });
  expect(await usersIn(2, room)).toEqual([bob.userId]);
  expect((await call(alice, "broadcast", { room, topic: "late" })).status).toBe(403);
});

test("all replicas receive a room's events in the same order, short and long ones", async () => {
  const room = newName("room");
  const clients = await Promise.all([0, 1, 2].map((index) => userOn(index, newName("user"))));
  const memberSocket = await Promise.all(clients.map((client) => live(client)));
  for (const client of clients) await call(client, "join", { room });
  const long = "ü🦊".repeat(2500);
  const send = (client: TestClient, n: number): ReturnType<typeof call> =>
    call(client, "broadcast", {
      room,
      topic: `${client.userId}-${n}`,
      data: n % 7 === 0 ? long : n,
    });
  const told = await Promise.all(
    clients.flatMap((client) => Array.from({ length: 100 }, (_, n) => send(client, n))),
  );
  expect(told.filter(({ status }) => status !== 200)).toEqual([]);
  const topics = (socket: LiveSocket): string[] =>
    heard(socket, room).filter((line) => line.startsWith("broadcast"));
  await until(() => memberSocket.every((socket) => topics(socket).length >= 300));
  expect(new Set(topics(memberSocket[0] as LiveSocket)).size).toBe(300);
  for (const socket of memberSocket)
    expect(topics(socket)).toEqual(topics(memberSocket[0] as LiveSocket));
  for (const { data, topic } of messagesOf(memberSocket[2] as LiveSocket, room).filter(
    ({ type }) => type === "broadcast",
  )) {
    const n = Number(String(topic).split("-").at(-1));
    expect(data).toBe(n % 7 === 0 ? long : n);
  }
});

test("concurrent joins learn of each other, by the response or by a later event", async () => {
  const clients = await Promise.all(
    Array.from({ length: 30 }, (_, n) => userOn(n % 3, newName("joiner"))),
  );
  const memberSocket = await Promise.all(clients.map((client) => live(client)));
  const everybody = clients.map(({ userId }) => userId).toSorted();
  for (let round = 0; round < 5; round += 1) {
    const room = newName("room");
    const answers = await Promise.all(clients.map((client) => call(client, "join", { room })));
    const known = (n: number): string[] => {
      const { peers } = (answers[n] as Awaited<ReturnType<typeof call>>).body["snapshot"] as {
        peers: { user_id: string }[];
      };
      return [
        ...new Set([
          ...peers.map(({ user_id: id }) => id),
          ...messagesOf(memberSocket[n] as LiveSocket, room).map(({ user_id: id }) => String(id)),
        ]),
      ].toSorted();
    };
    await until(() => clients.every((_, n) => known(n).join() === everybody.join()));
  }
});

test("messages near the limit of a notification arrive whole, as do unusual names", async () => {
  const room = 'a "room"\\ \u0000\n\ud83e 🦊 \u2028';
  const [left, right] = await Promise.all([
    userOn(0, newName("left")),
    userOn(1, newName("right")),
  ]);
  const [atLeft, atRight] = await Promise.all([live(left), live(right)]);
  await Promise.all([call(left, "join", { room }), call(right, "join", { room })]);
  const texts = [
    ...Array.from({ length: 13 }, (_, n) => "x".repeat(7780 + n * 10)),
    ...Array.from({ length: 13 }, (_, n) => "é".repeat(3890 + n * 5)),
    "🦊".repeat(4000),
    '"\\\u0000\n'.repeat(1000),
  ];
  for (const data of texts)
    expect((await call(left, "presence", { room, data })).body).toEqual({ updated: true });
  const told = (socket: LiveSocket): unknown[] =>
    messagesOf(socket, room).flatMap(({ type, data }) => (type === "presence" ? [data] : []));
  await until(() => [atLeft, atRight].every((socket) => told(socket).length === texts.length));
  // Show only the indexes of those that differ: the texts are too long to read.
  for (const socket of [atLeft, atRight])
    expect(texts.flatMap((text, n) => (told(socket)[n] === text ? [] : [n]))).toEqual([]);
  await call(left, "leave", { room });
  await until(() => heard(atRight, room).at(-1) === `leave ${left.userId}`);
});

test("a socket's messages arrive elsewhere in order, and the disconnect once", async () => {
  const [speaker, listener] = await Promise.all([
    userOn(0, newName("speaker")),
    userOn(1, newName("listener")),
  ]);
  const [mouth, memberSocket] = await Promise.all([live(speaker), live(listener)]);
  const room = newName("room");
  for (const user of [speaker, listener]) await call(user, "join", { room });
  for (let n = 0; n < 20; n += 1)
    mouth.socket.send(
      JSON.stringify({
        type: "topic",
        topic: "count",
        data: n % 3 === 0 ? `${n} ${"ß".repeat(5000)}` : String(n),
      }),
    );
  const counted = (): number[] =>
    memberSocket.texts
      .map((text) => JSON.parse(text) as Message)
      .filter(({ from, type }) => from === speaker.userId && type === "topic")
      .map(({ data }) => Number.parseInt(String(data), 10));
  await until(() => counted().length === 20);
  expect(counted()).toEqual(Array.from({ length: 20 }, (_, n) => n));
  const elsewhere = await live(await userOn(1, speaker.userId));
  await aMoment();
  mouth.close();
  await aMoment();
  const ends = (): string[] =>
    memberSocket.texts.filter(
      (text) => text.includes('"disconnect"') && text.includes(`"from":"${speaker.userId}"`),
    );
  expect(ends()).toEqual([]);
  elsewhere.close();
  await until(() => ends().length > 0);
  await aMoment();
  expect(ends()).toHaveLength(1);
});

test("a user who joins and leaves many times ends as the last call said", async () => {
  const room = newName("room");
  const watcher = await userOn(2, newName("watcher"));
  await call(watcher, "join", { room });
  const users = await Promise.all(
    Array.from({ length: 10 }, (_, n) => userOn(n % 3, newName("restless"))),
  );
  await Promise.all(
    users.map(async (user, n) => {
      for (let turn = 0; turn < 5; turn += 1) {
        await call(user, "join", { room });
        const socket = await user.live(0).ready();
        socket.close();
        // Wait until the replica has seen it: otherwise it would process the close after the last
        // join.
        await until(() => socket.closed !== null);
        await call(user, "leave", { room });
      }
      if (n % 2 === 0) await call(user, "join", { room });
    }),
  );
  const expected = [
    watcher.userId,
    ...users.filter((_, n) => n % 2 === 0).map(({ userId }) => userId),
  ].toSorted();
  for (const index of [0, 1, 2]) expect(await usersIn(index, room)).toEqual(expected);
}, 60_000);

test("a killed replica leaves its rooms when its lease ends, each leave once", async () => {
  const [shared, own] = [newName("room"), newName("room")];
  const watcher = await userOn(1, newName("watcher"));
  const memberSocket = await live(watcher);
  await call(watcher, "join", { room: shared });
  const [doomed, caller] = await Promise.all([
    userOn(0, newName("doomed")),
    userOn(0, newName("caller")),
  ]);
  const mouth = await live(doomed);
  await call(doomed, "join", { room: shared });
  mouth.socket.send(JSON.stringify({ type: "presence", event: "update", data: "here" }));
  await until(() => memberSocket.texts.some((text) => text.includes('"here"')));
  await call(doomed, "join", { room: own });
  await call(caller, "join", { room: shared });
  expect(await usersIn(1, shared)).toEqual(
    [caller.userId, doomed.userId, watcher.userId].toSorted(),
  );
  await replica(0).stop("SIGKILL");
  try {
    await until(
      async () => (await usersIn(1, shared)).length === 1 && (await usersIn(2, own)).length === 0,
      15_000,
    );
    await until(
      () => heard(memberSocket, shared).filter((line) => line.startsWith("leave")).length === 2,
    );
    await aMoment();
    expect(
      heard(memberSocket, shared)
        .filter((line) => line.startsWith("leave"))
        .toSorted(),
    ).toEqual([`leave ${caller.userId}`, `leave ${doomed.userId}`].toSorted());
    expect(
      memberSocket.texts.filter(
        (text) => text.includes('"disconnect"') && text.includes(`"from":"${doomed.userId}"`),
      ),
    ).toHaveLength(1);
  } finally {
    await replica(0).start();
  }
}, 90_000);

test("a replica that was paused returns with its members", async () => {
  const room = newName("room");
  const watcher = await userOn(1, newName("watcher"));
  const memberSocket = await live(watcher);
  await call(watcher, "join", { room });
  const sleeper = await userOn(0, newName("sleeper"));
  await live(sleeper);
  await call(sleeper, "join", { room, data: "mine" });
  const [came, went] = [`join ${sleeper.userId}`, `leave ${sleeper.userId}`];
  await until(() => heard(memberSocket, room).includes(came));
  replica(0).signal("SIGSTOP");
  try {
    await until(() => heard(memberSocket, room).includes(went));
    for (let n = 0; n < 50; n += 1)
      await call(watcher, "presence", { room, data: `${n} ${"x".repeat(9000)}` });
  } finally {
    replica(0).signal("SIGCONT");
  }
  await until(() => heard(memberSocket, room).at(-1) === came);
  await (await marker(1, watcher, memberSocket)).passed();
  expect(heard(memberSocket, room).filter((line) => line.endsWith(sleeper.userId))).toEqual([
    came,
    went,
    came,
  ]);
  expect(await usersIn(2, room)).toEqual([sleeper.userId, watcher.userId].toSorted());
  expect(await usersIn(0, room)).toEqual([sleeper.userId, watcher.userId].toSorted());
}, 60_000);

test("a stopping replica hands its members over, without leaves", async () => {
  const room = newName("room");
  const watcher = await userOn(0, newName("watcher"));
  const memberSocket = await live(watcher);
  await call(watcher, "join", { room });
  const [moving, calling, leaving] = await Promise.all([
    userOn(1, newName("moving")),
    userOn(1, newName("calling")),
    userOn(1, newName("leaving")),
  ]);
  await Promise.all([live(moving), live(leaving)]);
  for (const client of [moving, calling, leaving]) await call(client, "join", { room });
  await until(() => heard(memberSocket, room).length === 4);
  const beyondLease = await marker(0, watcher, memberSocket);
  await replica(1).stop("SIGTERM");
  try {
    // After its lease, and before the end of the time that it left to its members.
    await beyondLease.passed();
    await live(await userOn(0, moving.userId));
    await until(() => heard(memberSocket, room).includes(`leave ${leaving.userId}`));
    await (await marker(0, watcher, memberSocket)).passed();
    expect(await usersIn(2, room)).toEqual(
      [calling.userId, moving.userId, watcher.userId].toSorted(),
    );
    expect(heard(memberSocket, room).filter((line) => line.startsWith("leave"))).toEqual([
      `leave ${leaving.userId}`,
    ]);
  } finally {
    await replica(1).start();
  }
}, 90_000);

test.each(["SIGINT", "SIGQUIT"] as const)(
  "Postgres is stopped by %s and restarted: members are still in their rooms, once",
  async (signal) => {
    const room = newName("room");
    const [alice, bob, caller] = await Promise.all([
      userOn(0, newName("alice")),
      userOn(1, newName("bob")),
      userOn(2, newName("caller")),
    ]);
    const [atAlice, atBob] = await Promise.all([live(alice), live(bob)]);
    for (const client of [alice, bob, caller])
      await call(client, "join", { room, data: { of: client.userId } });
    await until(() => heard(atAlice, room).length === 3 && heard(atBob, room).length === 2);
    const beyondLease = await marker(0, alice, atAlice);
    await postgres.down(signal);
    await beyondLease.passed();
    await postgres.up();
    const everybody = [alice.userId, bob.userId, caller.userId].toSorted();
    await until(async () =>
      (await Promise.all([0, 1, 2].map((index) => usersIn(index, room)))).every(
        (users) => users.join() === everybody.join(),
      ),
    );
    await (await marker(0, alice, atAlice)).passed();
    for (const index of [0, 1, 2]) expect(await usersIn(index, room)).toEqual(everybody);
    const { body } = await bob.request("GET", `/api/rooms/${room}`);
    expect(
      (body["members"] as Message[]).find(({ user_id: id }) => id === alice.userId)?.["data"],
    ).toEqual({ of: alice.userId });
    for (const socket of [atAlice, atBob])
      expect(heard(socket, room).filter((line) => line.startsWith("leave"))).toEqual([]);
    const before = [atAlice, atBob].map((socket) => heard(socket, room).length);
    await call(bob, "broadcast", { room, topic: "again" });
    await until(() =>
      [atAlice, atBob].every((socket, n) =>
        heard(socket, room).slice(before[n]).includes("broadcast again"),
      ),
    );
  },
  120_000,
);
