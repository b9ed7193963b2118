import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { query, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { aMoment, TestClient, until, type LiveSocket } from "../support/client.ts";
import { GraceMarker } from "../support/grace-marker.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";
import { RedisServer } from "../support/servers/redis.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { SHORT_TIMES } from "../support/short-times.ts";

const app = appOf(
  buildManifest({
    name: "rooms",
    version: "1.0.0",
    entities: [entity("Note", { text: field.string() })],
  }),
  {
    computed: query({
      args: { key: v.string() },
      handler: (ctx, { key }) => ctx.cache.getOrSet(key, 60, () => crypto.randomUUID()),
    }),
  },
);

const lobby = appOf(
  buildManifest({
    name: "lobby",
    version: "1.0.0",
    entities: [entity("Note", { text: field.string() })],
    peerMessages: "tenant",
  }),
);

/** There is one replica, which is never lost. */
const TIMES = { ...SHORT_TIMES, graceMs: 2_000 };

interface Peer {
  readonly user_id: string;
  readonly data: unknown;
  readonly joined_at: string;
}

/** The messages of a room that a socket has received, such as `join u1`. */
function heard(socket: LiveSocket, room: string): string[] {
  return socket.texts
    .map((text) => JSON.parse(text) as Readonly<Record<string, unknown>>)
    .filter((message) => message["room"] === room)
    .map((message) => [message["type"], message["user_id"] ?? message["topic"]].join(" "));
}

/** The messages of other clients that a socket has received, except disconnects. */
function relayed(socket: LiveSocket): unknown[] {
  return socket.texts
    .map((text) => JSON.parse(text) as { type?: string; event?: string })
    .filter(
      ({ type, event }) => (type === "presence" || type === "topic") && event !== "disconnect",
    );
}

/** The disconnects of other clients that a socket has received. */
function disconnects(socket: LiveSocket): unknown[] {
  return socket.texts
    .map((text) => JSON.parse(text) as { readonly event?: string })
    .filter(({ event }) => event === "disconnect");
}

/** Messages that a client may not send. */
const JUNK = [
  "{",
  "[]",
  "null",
  '{"type":"presence","event":"disconnect","clientId":1}',
  '{"type":"join","room":"x"}',
  '{"type":"topic"}',
  JSON.stringify({ type: "topic", topic: "big", data: "x".repeat(17_000) }),
];

async function usersIn(client: TestClient, room: string): Promise<string[]> {
  const { body } = await client.request("GET", `/api/rooms/${encodeURIComponent(room)}`);
  return ((body["members"] ?? []) as Peer[]).map(({ user_id: id }) => id);
}

async function envOf(kind: string): Promise<Readonly<Record<string, string>>> {
  if (kind === "redis") return { REDIS_URL: redis.url };
  return kind === "postgres" ? { DATABASE_URL: await createDatabase(sharedPostgresUrl()) } : {};
}

let redis: RedisServer;
beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.stop());

describe.each(["memory", "redis", "postgres"])("rooms in %s", (kind) => {
  let server: TestServer;
  let admin: TestClient;
  let alice: TestClient;
  let bob: TestClient;
  beforeAll(async () => {
    server = await startServer(app, await envOf(kind), {}, TIMES);
    admin = new TestClient(server.url, ADMIN_TOKEN);
    [alice, bob] = await Promise.all([TestClient.guest(server.url), TestClient.guest(server.url)]);
  });
  afterAll(() => server.stop());

  const post = (
    client: TestClient,
    what: string,
    body: unknown,
  ): ReturnType<TestClient["request"]> => client.request("POST", `/api/rooms/${what}`, body);

  test("a join returns the members before it, and a member can list all", async () => {
    const first = await post(alice, "join", {
      room: "r1",
      data: { name: "Alice", tags: [], at: { x: 1.5 } },
    });
    expect(first.body).toEqual({
      joined: "r1",
      snapshot: { type: "snapshot", room: "r1", peers: [] },
    });
    const second = await post(bob, "join", { room: "r1" });
    const peer = {
      user_id: alice.userId,
      data: { name: "Alice", tags: [], at: { x: 1.5 } },
      joined_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/) as string,
    };
    expect(second.body).toEqual({
      joined: "r1",
      snapshot: { type: "snapshot", room: "r1", peers: [peer] },
    });
    const { body } = await bob.request("GET", "/api/rooms/r1");
    expect(body).toMatchObject({ room: "r1", count: 2 });
    expect(body["members"]).toContainEqual(peer);
    expect(body["members"]).toContainEqual({
      user_id: bob.userId,
      data: null,
      joined_at: expect.any(String) as string,
    });
    expect((await alice.request("GET", "/api/rooms")).body).toEqual([
      { name: "r1", members: 2 },
    ] as never);
  });

  test("joining again keeps the join time and replaces the data", async () => {
    const before = await post(alice, "join", { room: "again", data: 1 });
    const again = await post(alice, "join", { room: "again", data: 2 });
    expect(before.body["snapshot"]).toMatchObject({ peers: [] });
    expect(again.body["snapshot"]).toMatchObject({ peers: [{ user_id: alice.userId, data: 1 }] });
    const { body } = await alice.request("GET", "/api/rooms/again");
    expect(body).toMatchObject({ count: 1, members: [{ data: 2 }] });
  });

  test("a leave reports whether the user was there, and an empty room is gone", async () => {
    await post(alice, "join", { room: "r2" });
    expect((await post(alice, "leave", { room: "r2" })).body).toEqual({
      left: "r2",
      was_present: true,
    });
    expect((await post(alice, "leave", { room: "r2" })).body).toEqual({
      left: "r2",
      was_present: false,
    });
    expect((await admin.request("GET", "/api/rooms/r2")).body).toEqual({
      room: "r2",
      members: [],
      count: 0,
    });
    expect((await admin.request("GET", "/api/rooms")).text).not.toContain('"r2"');
  });

  test("only members can set presence", async () => {
    expect((await post(alice, "presence", { room: "r3", data: { x: 1 } })).body).toEqual({
      updated: false,
      reason: "not_in_room",
    });
    await post(alice, "join", { room: "r3" });
    expect((await post(alice, "presence", { room: "r3", data: { x: 1 } })).body).toEqual({
      updated: true,
    });
    expect((await alice.request("GET", "/api/rooms/r3")).body).toMatchObject({
      members: [{ data: { x: 1 } }],
    });
    expect((await post(alice, "presence", { room: "r3" })).body).toEqual({ updated: true });
    expect((await alice.request("GET", "/api/rooms/r3")).body).toMatchObject({
      members: [{ data: {} }],
    });
  });

  test("a user outside of a room can't read it, send to it or see it listed", async () => {
    await post(alice, "join", { room: "secret" });
    const read = await bob.request("GET", "/api/rooms/secret");
    const sent = await post(bob, "broadcast", { room: "secret", topic: "t" });
    for (const { status, body } of [read, sent]) {
      expect(status).toBe(403);
      expect(body["error"]).toMatchObject({
        code: "FORBIDDEN",
        hint: "Call POST /api/rooms/join first.",
      });
    }
    expect((await bob.request("GET", "/api/rooms")).text).not.toContain("secret");
    expect((await bob.request("GET", "/api/rooms/there-is-none")).status).toBe(403);
    expect((await admin.request("GET", "/api/rooms/secret")).status).toBe(200);
    expect((await post(admin, "broadcast", { room: "secret", topic: "t" })).body).toEqual({
      broadcasted: true,
    });
    expect((await post(admin, "broadcast", { room: "there-is-none", topic: "t" })).body).toEqual({
      broadcasted: false,
      reason: "room_empty",
    });
  });

  test("the server determines the user; only the admin acts for others", async () => {
    await post(alice, "join", { room: "who" });
    await post(bob, "join", { room: "who", user_id: alice.userId });
    expect((await usersIn(alice, "who")).toSorted()).toEqual([alice.userId, bob.userId].toSorted());
    expect((await post(bob, "leave", { room: "who", user_id: alice.userId })).body).toEqual({
      left: "who",
      was_present: true,
    });
    expect(await usersIn(alice, "who")).toEqual([alice.userId]);
    await post(admin, "join", { room: "who", user_id: "somebody" });
    expect((await usersIn(alice, "who")).toSorted()).toEqual([alice.userId, "somebody"].toSorted());
    expect((await post(admin, "join", { room: "who" })).body["error"]).toMatchObject({
      code: "MISSING_FIELD",
      field: "user_id",
    });
  });

  test("invalid requests are rejected", async () => {
    const anonymous = new TestClient(server.url, null);
    const codeOf = async (client: TestClient, what: string, body: unknown): Promise<unknown> => {
      const answer = await post(client, what, body);
      return [answer.status, (answer.body["error"] as Readonly<Record<string, unknown>>)["code"]];
    };
    for (const what of ["join", "leave", "presence", "broadcast"]) {
      expect(await codeOf(anonymous, what, { room: "x" })).toEqual([401, "AUTH_REQUIRED"]);
      expect(await codeOf(alice, what, "{")).toEqual([400, "INVALID_JSON"]);
      expect(await codeOf(alice, what, [])).toEqual([400, "INVALID_JSON"]);
      expect(await codeOf(alice, what, {})).toEqual([400, "MISSING_ROOM"]);
      expect(await codeOf(alice, what, { room: 7 })).toEqual([400, "MISSING_ROOM"]);
      expect(await codeOf(alice, what, { room: "x".repeat(257) })).toEqual([400, "INVALID_DATA"]);
    }
    expect((await anonymous.request("GET", "/api/rooms")).status).toBe(401);
    expect((await anonymous.request("GET", "/api/rooms/x")).status).toBe(401);
    expect(await codeOf(alice, "broadcast", { room: "x" })).toEqual([400, "MISSING_TOPIC"]);
    expect(await codeOf(alice, "join", { room: "x", data: "x".repeat(17_000) })).toEqual([
      413,
      "PAYLOAD_TOO_LARGE",
    ]);
  });

  test("a user can be in at most 100 rooms", async () => {
    const user = await TestClient.guest(server.url);
    for (let n = 0; n < 100; n += 1)
      expect((await post(user, "join", { room: `many-${n}` })).status).toBe(200);
    const refused = await post(user, "join", { room: "one-more" });
    expect(refused.status).toBe(429);
    expect(refused.body["error"]).toMatchObject({ code: "ROOM_LIMIT_REACHED", field: "room" });
    expect((await post(user, "join", { room: "many-1" })).status).toBe(200);
  });

  test("a room can have any name", async () => {
    for (const room of ["a/b c?d#e", "ñ-日本-🦊", "100%", "..:..", '"quoted"\n', "a:b"]) {
      await post(alice, "join", { room });
      expect(await usersIn(alice, room)).toEqual([alice.userId]);
      await post(alice, "leave", { room });
      expect((await admin.request("GET", "/api/rooms")).body).not.toContainEqual({
        name: room,
        members: 1,
      });
    }
  });

  test("only members receive the events of a room, in order", async () => {
    const [inside, outside, anonymous] = await Promise.all([
      alice.live(0).ready(),
      bob.live(0).ready(),
      new TestClient(server.url, null).live(0).ready(),
    ]);
    await post(alice, "join", { room: "live", data: { a: 1 } });
    await post(admin, "join", { room: "live", user_id: "carol" });
    await post(admin, "presence", { room: "live", user_id: "carol", data: { x: 2 } });
    await post(alice, "broadcast", { room: "live", topic: "wave", data: { hand: "left" } });
    await post(admin, "leave", { room: "live", user_id: "carol" });
    await until(() => heard(inside, "live").length >= 5);
    expect(heard(inside, "live")).toEqual([
      `join ${alice.userId}`,
      "join carol",
      "presence carol",
      "broadcast wave",
      "leave carol",
    ]);
    const messages = inside.texts.map((text) => JSON.parse(text) as unknown);
    expect(messages).toContainEqual({
      type: "join",
      room: "live",
      user_id: alice.userId,
      data: { a: 1 },
    });
    expect(messages).toContainEqual({ type: "join", room: "live", user_id: "carol" });
    expect(messages).toContainEqual({
      type: "presence",
      room: "live",
      user_id: "carol",
      data: { x: 2 },
    });
    expect(messages).toContainEqual({
      type: "broadcast",
      room: "live",
      sender: alice.userId,
      topic: "wave",
      data: { hand: "left" },
    });
    expect(messages).toContainEqual({ type: "leave", room: "live", user_id: "carol" });
    await aMoment();
    for (const socket of [outside, anonymous]) expect(heard(socket, "live")).toEqual([]);
    for (const socket of [inside, outside, anonymous]) socket.close();
  });

  test("an event stream receives what a socket receives", async () => {
    const response = await fetch(`${server.url}/events?since=0`, {
      headers: { Authorization: `Bearer ${alice.token ?? ""}` },
    });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    const reading = (async () => {
      for (
        let part = await reader?.read();
        part !== undefined && !part.done;
        part = await reader?.read()
      )
        text += part.value;
    })();
    await until(() => text.includes("hello"));
    await post(alice, "join", { room: "stream" });
    await post(admin, "broadcast", { room: "stream", topic: "news", data: 1 });
    await until(() =>
      text.includes('data: {"type":"broadcast","room":"stream","topic":"news","data":1}'),
    );
    await reader?.cancel();
    await reading;
  });

  test("a user leaves all rooms after the last connection and the grace period", async () => {
    const watcher = await alice.live(0).ready();
    await post(alice, "join", { room: "grace" });
    const user = await TestClient.guest(server.url);
    const [one, two] = await Promise.all([user.live(0).ready(), user.live(0).ready()]);
    await post(user, "join", { room: "grace" });
    const grace = await GraceMarker.of(await TestClient.guest(server.url), alice, watcher);
    one.close();
    await until(() => one.closed !== null);
    two.close();
    await until(() => two.closed !== null);
    await aMoment();
    const back = await user.live(0).ready();
    await grace.passed();
    expect(heard(watcher, "grace").filter((line) => line.startsWith("leave"))).toEqual([]);
    back.close();
    const closedAt = performance.now();
    await until(() => heard(watcher, "grace").includes(`leave ${user.userId}`), 30_000);
    // A slow machine only increases it.
    expect(performance.now() - closedAt).toBeGreaterThan(TIMES.graceMs - 200);
    expect(await usersIn(alice, "grace")).toEqual([alice.userId]);
    expect(heard(watcher, "grace").filter((line) => line === `join ${user.userId}`)).toHaveLength(
      1,
    );
    watcher.close();
  }, 60_000);

  test("L6: clients' messages go to users in a common room, with the true sender", async () => {
    const carol = await TestClient.guest(server.url);
    const [sender, other, stranger, anonymous] = await Promise.all([
      alice.live(0).ready(),
      bob.live(0).ready(),
      carol.live(0).ready(),
      new TestClient(server.url, null).live(0).ready(),
    ]);
    await post(alice, "join", { room: "talk" });
    await post(bob, "join", { room: "talk" });
    await post(carol, "join", { room: "elsewhere" });
    await until(
      () => heard(sender, "talk").length === 2 && heard(stranger, "elsewhere").length > 0,
    );
    sender.socket.send(
      JSON.stringify({
        type: "presence",
        event: "update",
        data: { x: 1 },
        from: "mallory",
        extra: 1,
      }),
    );
    sender.socket.send(
      JSON.stringify({ type: "topic", topic: "chat", data: "hi", from: "mallory" }),
    );
    anonymous.socket.send(JSON.stringify({ type: "topic", topic: "chat", data: "spam" }));
    for (const junk of JUNK) sender.socket.send(junk);
    await until(() => relayed(other).length >= 2 && relayed(sender).length >= 2);
    await aMoment();
    const expected = [
      { type: "presence", event: "update", data: { x: 1 }, from: alice.userId },
      { type: "topic", topic: "chat", data: "hi", from: alice.userId },
    ];
    expect(relayed(other)).toEqual(expected);
    expect(relayed(sender)).toEqual(expected);
    expect(relayed(anonymous)).toEqual([]);
    sender.close();
    // No client has received anything about this user, so none is told about the disconnect.
    const silent = await TestClient.guest(server.url);
    const brief = await silent.live(0).ready();
    brief.close();
    await until(() => brief.closed !== null);
    await until(() =>
      other.texts.some((text) => text.includes('"disconnect"') && text.includes(alice.userId)),
    );
    expect(disconnects(other)[0]).toEqual({
      type: "presence",
      event: "disconnect",
      clientId: expect.any(Number) as number,
      from: alice.userId,
    } as never);
    await aMoment();
    expect(other.texts.join()).not.toContain(silent.userId);
    for (const { texts } of [stranger, anonymous])
      for (const { userId } of [alice, silent]) expect(texts.join()).not.toContain(userId);
    for (const socket of [other, stranger, anonymous]) socket.close();
  });

  test("L6: an app may send roomless messages to everyone in the tenant", async () => {
    const own = await startServer(lobby, await envOf(kind));
    const [speaker, listener] = await Promise.all([
      TestClient.guest(own.url),
      TestClient.guest(own.url),
    ]);
    const [mouth, memberSocket] = await Promise.all([
      speaker.live(0).ready(),
      listener.live(0).ready(),
    ]);
    mouth.socket.send(JSON.stringify({ type: "topic", topic: "all", data: 1 }));
    const from = speaker.userId;
    await until(() =>
      memberSocket.texts.includes(JSON.stringify({ type: "topic", topic: "all", data: 1, from })),
    );
    mouth.close();
    await until(() =>
      memberSocket.texts.some((text) => text.includes('"disconnect"') && text.includes(from)),
    );
    memberSocket.close();
    await own.stop();
  });

  test("excess messages are dropped, and a flood closes the socket", async () => {
    const [sender, other] = await Promise.all([alice.live(0).ready(), bob.live(0).ready()]);
    await post(alice, "join", { room: "flood" });
    await post(bob, "join", { room: "flood" });
    await until(() => heard(other, "flood").length > 0);
    for (let n = 0; n < 100; n += 1)
      sender.socket.send(JSON.stringify({ type: "topic", topic: "n", data: n }));
    const count = (): number => other.texts.filter((text) => text.includes('"n"')).length;
    await until(() => count() >= 20);
    await aMoment();
    expect(count()).toBeLessThanOrEqual(40);
    for (let n = 0; n < 1000; n += 1)
      sender.socket.send(JSON.stringify({ type: "topic", topic: "n", data: n }));
    await until(() => sender.closed !== null);
    expect(sender.closed?.code).toBe(1008);
    other.close();
  });

  test("ctx.cache computes a value once", async () => {
    const read = (): Promise<string> =>
      alice.request("POST", "/api/fn/computed", { key: `${kind}-k` }).then(({ text }) => text);
    const values = await Promise.all([read(), read(), read()]);
    expect(new Set([...values, await read()]).size).toBe(1);
  });
});
