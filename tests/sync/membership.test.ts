import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { aMoment, TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const isMember = "exists(Member, channelId == data.channelId && userId == auth.userId)";
const app = appOf(
  buildManifest({
    name: "chat",
    version: "1.0.0",
    entities: [
      entity("Member", { channelId: field.string(), userId: field.string() }),
      entity("Message", { channelId: field.string(), text: field.string() }),
    ],
    policies: [
      policy({
        name: "own_memberships",
        entity: "Member",
        allowRead: "auth.userId == data.userId",
        allowWrite: "auth.isAdmin",
      }),
      policy({ name: "in_channel", entity: "Message", allow: isMember }),
    ],
  }),
);

let server: TestServer;
let admin: TestClient;
let alice: TestClient;
let bob: TestClient;
const cursorOf = async (client: TestClient): Promise<number> =>
  ((await client.request("GET", "/api/sync/pull?since=0")).body["cursor"] as { last_seq: number })
    .last_seq;

beforeAll(async () => {
  server = await startServer(app);
  admin = new TestClient(server.url, ADMIN_TOKEN);
  alice = await TestClient.guest(server.url);
  bob = await TestClient.guest(server.url);
});
afterAll(() => server.stop());

test("a member can read, write and follow a channel; a stranger can't", async () => {
  await admin.insert("Member", { channelId: "c1", userId: alice.userId });
  const [hers, his] = await Promise.all([
    alice.live(await cursorOf(alice)).ready(),
    bob.live(await cursorOf(bob)).ready(),
  ]);
  const id = await alice.insert("Message", { channelId: "c1", text: "hello members" });
  expect(
    (await bob.request("POST", "/api/entities/Message", { channelId: "c1", text: "let me in" }))
      .status,
  ).toBe(403);
  expect(await hers.heard(1)).toMatchObject([{ kind: "insert", row_id: id }]);
  expect((await bob.request("GET", `/api/entities/Message/${id}`)).status).toBe(404);
  expect(
    (await bob.request("POST", "/api/aggregate/Message", { count: true })).body["rows"],
  ).toEqual([{ count: 0 }]);
  await aMoment();
  expect(his.texts.join()).not.toContain("hello members");
  hers.close();
  his.close();
});

test("a user who joins receives the channel's rows, and one who leaves loses them", async () => {
  await admin.insert("Message", { id: "m1", channelId: "c2", text: "one" });
  await admin.insert("Message", { id: "m2", channelId: "c2", text: "two" });
  const socket = await bob.live(await cursorOf(bob)).ready();
  const member = await admin.insert("Member", { channelId: "c2", userId: bob.userId });
  const joined = await socket.heard(3);
  expect(
    joined
      .filter(({ entity: name }) => name === "Message")
      .map(({ kind, row_id: id }) => `${kind} ${id}`)
      .toSorted(),
  ).toEqual(["insert m1", "insert m2"]);
  expect(joined.find(({ row_id: id }) => id === "m1")?.data).toMatchObject({
    text: "one",
    channelId: "c2",
  });

  await admin.request("DELETE", `/api/entities/Member/${member}`);
  const left = (await socket.heard(6)).slice(3);
  expect(left.map(({ kind, row_id: id }) => `${kind} ${id}`).toSorted()).toEqual(
    [`delete ${member}`, "delete m1", "delete m2"].toSorted(),
  );
  expect(left.every((event) => event.data === undefined)).toBe(true);
  await admin.insert("Message", { channelId: "c2", text: "among ourselves" });
  await aMoment();
  expect(socket.texts.join()).not.toContain("among ourselves");
  socket.close();
});

test.each(["row first", "right first"])(
  "rights and rows that change in one transaction (%s) are received together",
  async (order) => {
    const message = await admin.insert("Message", { channelId: order, text: "three" });
    const member = await admin.insert("Member", { channelId: order, userId: bob.userId });
    const socket = await bob.live(await cursorOf(bob)).ready();
    const operations = [
      { op: "delete", entity: "Message", id: message },
      { op: "delete", entity: "Member", id: member },
    ];
    const { body } = await admin.request(
      "POST",
      "/api/transact",
      order === "row first" ? operations : operations.toReversed(),
    );
    expect(body["committed"]).toBe(true);
    await until(() => socket.events.length >= 2);
    expect(socket.events.map(({ kind, row_id: id }) => `${kind} ${id}`).toSorted()).toEqual(
      [`delete ${message}`, `delete ${member}`].toSorted(),
    );
    expect((await bob.request("GET", "/api/sync/pull?since=0")).text).not.toContain(message);
  },
);

test.each(["row first", "right first"])(
  "a row's state inside a transaction (%s) is not sent to users who may read it only after",
  async (order) => {
    const channelId = `inside ${order}`;
    const id = await admin.insert("Message", { channelId, text: "not for bob" });
    const socket = await bob.live(await cursorOf(bob)).ready();
    const operations = [
      { op: "update", entity: "Message", id, data: { text: "for bob" } },
      { op: "insert", entity: "Member", data: { channelId, userId: bob.userId } },
    ];
    await admin.request(
      "POST",
      "/api/transact",
      order === "row first" ? operations : operations.toReversed(),
    );
    await socket.heard(2);
    expect(socket.events.find(({ entity: name }) => name === "Message")?.data).toMatchObject({
      text: "for bob",
    });
    expect(socket.texts.join()).not.toContain("not for bob");
    socket.close();
  },
);

test("only a client whose rights changed while it was away needs a new snapshot", async () => {
  const [hers, his] = [await cursorOf(alice), await cursorOf(bob)];
  await admin.insert("Member", { channelId: "c4", userId: bob.userId });
  expect((await bob.request("GET", `/api/sync/pull?since=${his}`)).status).toBe(410);
  expect((await alice.request("GET", `/api/sync/pull?since=${hers}`)).status).toBe(200);
});
