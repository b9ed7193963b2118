import { afterAll, beforeAll, expect, test } from "bun:test";
import { createSyncEngine } from "@pylonsync/sync";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { aMoment, TestClient, until, type LiveSocket } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const MEMBER = "exists(Member, channelId == room.channelId && userId == auth.userId)";

const app = appOf(
  buildManifest({
    name: "room-policies",
    version: "1.0.0",
    entities: [entity("Member", { channelId: field.string(), userId: field.string() })],
    policies: [policy({ name: "read", entity: "Member", allowRead: "true" })],
    rooms: [
      { name: "channel/:channelId", allow: MEMBER },
      { name: "news", allowJoin: "auth.userId != null", allowSend: "auth.hasRole('editor')" },
      { name: "desk/:userId", allowJoin: "room.userId == auth.userId", allowSee: "true" },
    ],
  }),
);

let server: TestServer;
let admin: TestClient;
beforeAll(async () => {
  server = await startServer(app);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());

const post = (
  client: TestClient,
  what: string,
  room: string,
  rest: object = {},
): ReturnType<TestClient["request"]> =>
  client.request("POST", `/api/rooms/${what}`, { room, ...rest });

const look = (client: TestClient, room: string): ReturnType<TestClient["request"]> =>
  client.request("GET", `/api/rooms/${encodeURIComponent(room)}`);

const codeOf = ({ status, body }: Awaited<ReturnType<TestClient["request"]>>): unknown[] => [
  status,
  (body["error"] as { code?: string } | undefined)?.code,
];

const DENIED = [403, "POLICY_DENIED"];

function heard(socket: LiveSocket, topic: string): boolean {
  return socket.texts.some((text) => text.includes(`"topic":"${topic}"`));
}

test("L7: a guest can't join the room of a private channel by its id", async () => {
  const [member, stranger] = await Promise.all([
    TestClient.guest(server.url),
    TestClient.guest(server.url),
  ]);
  const room = "channel/private";
  await admin.insert("Member", { channelId: "private", userId: member.userId });
  expect((await post(member, "join", room)).status).toBe(200);
  const socket = await stranger.live(0).ready();

  expect(codeOf(await post(stranger, "join", room))).toEqual(DENIED);
  expect(codeOf(await post(stranger, "presence", room, { data: {} }))).toEqual(DENIED);
  expect(codeOf(await post(stranger, "broadcast", room, { topic: "x" }))).toEqual(DENIED);
  expect(codeOf(await look(stranger, room))).toEqual([403, "FORBIDDEN"]);
  expect((await post(member, "broadcast", room, { topic: "secret" })).body).toEqual({
    broadcasted: true,
  });
  await aMoment();
  expect(heard(socket, "secret")).toBe(false);
  expect((await look(member, room)).body["count"]).toBe(1);
  // Nor can a member join a room that no declaration matches.
  expect(codeOf(await post(member, "join", "anywhere"))).toEqual(DENIED);
  expect((await post(admin, "join", "anywhere", { user_id: member.userId })).status).toBe(200);
  socket.close();
});

test("a member who loses the right leaves immediately, and receives nothing more", async () => {
  const [ann, bob] = await Promise.all([
    TestClient.guest(server.url),
    TestClient.guest(server.url),
  ]);
  const room = "channel/changing";
  await admin.insert("Member", { channelId: "changing", userId: ann.userId });
  const row = await admin.insert("Member", { channelId: "changing", userId: bob.userId });
  const sockets = await Promise.all([ann.live(0).ready(), bob.live(0).ready()]);
  const [anns, bobs] = sockets;
  for (const client of [ann, bob]) await post(client, "join", room);
  await post(ann, "broadcast", room, { topic: "before" });
  await until(() => heard(bobs, "before"));

  await admin.request("DELETE", `/api/entities/Member/${row}`);
  const left = `{"type":"leave","room":"${room}","user_id":"${bob.userId}"}`;
  await until(() => anns.texts.includes(left) && bobs.texts.includes(left));
  await post(ann, "broadcast", room, { topic: "after" });
  await until(() => heard(anns, "after"));
  await aMoment();
  expect(heard(bobs, "after")).toBe(false);
  expect(codeOf(await post(bob, "presence", room, { data: {} }))).toEqual(DENIED);
  expect(codeOf(await look(bob, room))).toEqual([403, "FORBIDDEN"]);
  for (const socket of sockets) socket.close();
});

test("a member who lost the right while away is not in the room after returning", async () => {
  const [ann, bob] = await Promise.all([
    TestClient.guest(server.url),
    TestClient.guest(server.url),
  ]);
  const room = "channel/away";
  await admin.insert("Member", { channelId: "away", userId: ann.userId });
  const row = await admin.insert("Member", { channelId: "away", userId: bob.userId });
  // Without a connection a member stays for two minutes.
  for (const client of [ann, bob]) await post(client, "join", room);
  await admin.request("DELETE", `/api/entities/Member/${row}`);
  const socket = await bob.live(0).ready();
  await until(async () => (await look(ann, room)).body["count"] === 1);
  await post(ann, "broadcast", room, { topic: "gone" });
  await aMoment();
  expect(heard(socket, "gone")).toBe(false);
  socket.close();
});

test("a member who may listen but not send can't send in any way", async () => {
  const [ann, bob] = await Promise.all([
    TestClient.guest(server.url),
    TestClient.guest(server.url),
  ]);
  const [anns, bobs] = await Promise.all([ann.live(0).ready(), bob.live(0).ready()]);
  for (const client of [ann, bob]) expect((await post(client, "join", "news")).status).toBe(200);
  expect(codeOf(await post(ann, "broadcast", "news", { topic: "loud" }))).toEqual(DENIED);
  expect(codeOf(await post(ann, "presence", "news", { data: { loud: true } }))).toEqual(DENIED);
  anns.socket.send(JSON.stringify({ type: "topic", topic: "loud", data: null }));
  await until(() => heard(anns, "loud"));
  await aMoment();
  expect(heard(bobs, "loud")).toBe(false);
  expect((await post(admin, "broadcast", "news", { topic: "paper" })).body).toEqual({
    broadcasted: true,
  });
  await until(() => heard(bobs, "paper"));
  for (const socket of [anns, bobs]) socket.close();
});

test("a user who may see a room can list its members without being in it", async () => {
  const [ann, bob] = await Promise.all([
    TestClient.guest(server.url),
    TestClient.guest(server.url),
  ]);
  const room = `desk/${ann.userId}`;
  await post(ann, "join", room);
  expect(codeOf(await post(bob, "join", room))).toEqual(DENIED);
  expect((await look(bob, room)).body["count"]).toBe(1);
  expect(codeOf(await look(bob, "channel/private"))).toEqual([403, "FORBIDDEN"]);
});

test("a client's room reports a lost right, and shows no peers", async () => {
  const engine = createSyncEngine(server.url);
  const { userId } = await engine.session.signInAsGuest();
  engine.start();
  const row = await admin.insert("Member", { channelId: "client", userId });
  const other = await TestClient.guest(server.url);
  await admin.insert("Member", { channelId: "client", userId: other.userId });
  await post(other, "join", "channel/client");
  const room = engine.rooms.join("channel/client", userId, { heartbeatInterval: 60_000 });
  await until(() => room.state.isConnected && room.state.peers.length === 1);
  await until(() => engine.status.connection === "live");
  await admin.request("DELETE", `/api/entities/Member/${row}`);
  await until(() => !room.state.isConnected);
  expect(room.state.peers).toEqual([]);
  expect(room.state.error).toMatchObject({ code: "POLICY_DENIED" });
  await room.leave();
  engine.stop();
});
