import {
  LIVE_PROTOCOL,
  MAX_SUBSCRIPTION_CHARACTERS,
  MAX_SUBSCRIPTION_SEARCHES,
  MAX_SUBSCRIPTIONS,
} from "@pylonsync/protocol";
import { query, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { aMoment, TestClient, until } from "../support/client.ts";
import { QuerySocket } from "../support/query-socket.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { stillClock } from "../support/still-clock.ts";

const isMember = "exists(Member, channelId == data.channelId && userId == auth.userId)";
const app = appOf(
  buildManifest({
    name: "live",
    version: "1.0.0",
    entities: [
      entity("Member", { channelId: field.string(), userId: field.string() }),
      entity("Message", { channelId: field.string(), text: field.string(), at: field.int() }),
      entity("Notice", { text: field.string() }),
    ],
    policies: [
      policy({
        name: "own_memberships",
        entity: "Member",
        allowRead: "auth.userId == data.userId",
        allowWrite: "auth.isAdmin",
      }),
      policy({ name: "in_channel", entity: "Message", allow: `auth.isAdmin || ${isMember}` }),
      policy({ name: "all", entity: "Notice", allowRead: "true", allowWrite: "auth.isAdmin" }),
    ],
  }),
);

const timed = appOf(
  buildManifest({
    name: "timed",
    version: "1.0.0",
    entities: [entity("Post", { at: field.datetime() })],
    policies: [
      policy({
        name: "published",
        entity: "Post",
        allowRead: "data.at <= now()",
        allowWrite: "auth.isAdmin",
      }),
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

test("a window has the first rows of a query, and stays up to date", async () => {
  const alice = await TestClient.guest(server.url);
  await admin.insert("Member", { channelId: "c1", userId: alice.userId });
  for (let at = 1; at <= 4; at += 1)
    await admin.insert("Message", { id: `w${at}`, channelId: "c1", text: `${at}`, at });
  await admin.insert("Message", { channelId: "c9", text: "elsewhere", at: 9 });
  const socket = await QuerySocket.open(alice);
  expect(socket.socket.protocol).toBe(LIVE_PROTOCOL);
  const where = { channelId: "c1" };
  const query = { entity: "Message", where, order: { at: "desc" }, limit: 2 };
  const sub = await socket.subscribe(query);
  const ids = socket.all("rows").flatMap(({ rows = [] }) => rows.map(({ id }) => id));
  expect(ids).toEqual(["w4", "w3"]);
  await admin.insert("Message", { id: "w5", channelId: "c1", text: "5", at: 5 });
  await admin.request("DELETE", "/api/entities/Message/w5");
  await admin.request("PATCH", "/api/entities/Message/w4", { text: "four" });
  const [came, left, changed] = (await socket.commits(3)).map(({ changes }) => changes[0]);
  const row = { channelId: "c1", text: "5", at: 5 };
  expect(came).toEqual({ sub, rows: [{ id: "w5", ...row }], gone: ["w3"] });
  expect(left).toEqual({
    sub,
    rows: [{ ...row, id: "w3", text: "3", at: 3 }],
    gone: ["w5"],
  });
  expect(changed).toEqual({ sub, patches: [{ id: "w4", text: "four" }] });
  const known = { seq: socket.all("commit").at(-1)?.seq, epoch: socket.all("ready")[0]?.epoch };
  const again = await QuerySocket.open(alice);
  await again.subscribe({ ...query, known: { ...known, ids: ["w4", "w3"] } });
  // Nothing has changed, so no row is sent.
  expect(again.all("rows")).toEqual([{ type: "rows", sub: expect.any(Number), rows: [] }]);
  expect(socket.texts).not.toContain("elsewhere");
  socket.socket.close();
  again.socket.close();
});

test("a user who leaves a channel loses its rows, and receives nothing afterwards", async () => {
  const bob = await TestClient.guest(server.url);
  const member = await admin.insert("Member", { channelId: "c2", userId: bob.userId });
  await admin.insert("Message", { id: "m1", channelId: "c2", text: "one", at: 1 });
  const socket = await QuerySocket.open(bob);
  const sub = await socket.subscribe({ entity: "Message", where: { channelId: "c2" } });
  await admin.request("DELETE", `/api/entities/Member/${member}`);
  await admin.insert("Message", { channelId: "c2", text: "among ourselves", at: 2 });
  expect(await socket.commits(1)).toMatchObject([{ changes: [{ sub, gone: ["m1"] }] }]);
  await aMoment();
  expect(socket.texts).not.toContain("among ourselves");
  // A new membership would restore the rows, also for a cursor from before.
  const { seq, epoch } = socket.all("ready")[0] ?? {};
  socket.socket.close();
  const again = await QuerySocket.open(bob);
  await again.subscribe({
    entity: "Message",
    where: { channelId: "c2" },
    known: { seq, epoch },
  });
  expect(again.all("rows")).toMatchObject([{ reset: true, rows: [] }]);
  again.socket.close();
});

test("an invalid subscription is rejected by its id, and the others continue", async () => {
  const socket = await QuerySocket.open(admin);
  const refused: readonly (readonly [object, string])[] = [
    [{ entity: "Nothing" }, "ENTITY_NOT_FOUND"],
    [{ entity: "Notice", where: { nope: 1 } }, "INVALID_COLUMN"],
    [{ entity: "Notice", where: { $limit: 1 } }, "INVALID_QUERY"],
    [{ entity: "Notice", limit: 0 }, "INVALID_QUERY"],
    [{ entity: "Notice", order: { text: "up" } }, "INVALID_QUERY"],
    [{ entity: "Notice", include: { author: {} } }, "RELATION_NOT_FOUND"],
    [{ function: "stats", args: {} }, "FUNCTIONS_NOT_AVAILABLE"],
  ];
  for (const [index, [query]] of refused.entries())
    socket.send({ type: "subscribe", id: index, ...query });
  await until(() => socket.all("error").length === refused.length);
  expect(socket.all("error").map(({ id, code }) => [id, code])).toEqual(
    refused.map(([, code], index) => [index, code]),
  );
  const malformed = { type: "subscribe", id: 50, entity: "Notice", known: { seq: 1, epoch: 2 } };
  socket.send(malformed);
  await until(() => socket.all("error").some(({ id }) => id === 50));
  expect(socket.all("error").at(-1)?.message).toContain("known.epoch");
  const refusals = socket.all("error").length;
  for (let id = 100; id <= 100 + MAX_SUBSCRIPTIONS; id += 1)
    socket.send({ type: "subscribe", id, entity: "Notice", where: { text: `${id}` } });
  await until(() => socket.all("error").length > refusals);
  expect(socket.all("error").at(-1)).toMatchObject({
    id: 100 + MAX_SUBSCRIPTIONS,
    code: "SUBSCRIPTION_LIMIT_REACHED",
  });
  await until(() => socket.all("ready").length === MAX_SUBSCRIPTIONS);
  socket.socket.close();
});

test("T17: what all subscriptions of a connection search and keep is limited", async () => {
  const searches = 16;
  const searching = (id: number) => ({
    type: "subscribe",
    id,
    entity: "Notice",
    where: {
      $or: Array.from({ length: searches }, (_, n) => ({ text: { $ilike: `${id} ${n}` } })),
    },
  });
  const length = MAX_SUBSCRIPTION_CHARACTERS / 3;
  const large = (id: number) => ({
    type: "subscribe",
    id,
    entity: "Notice",
    where: {
      text: {
        $in: Array.from({ length: length / 500 }, (_, n) => `${id} ${n} ${"x".repeat(500)}`),
      },
    },
  });
  for (const [ask, most] of [
    [searching, Math.floor(MAX_SUBSCRIPTION_SEARCHES / searches)],
    [large, 2],
  ] as const) {
    const socket = await QuerySocket.open(await TestClient.guest(server.url));
    for (let id = 1; id <= most + 1; id += 1) {
      socket.send(ask(id));
      await until(() => socket.all("joined").length + socket.all("error").length === id);
    }
    const refused = { id: most + 1, code: "SUBSCRIPTION_LIMIT_REACHED" };
    expect(socket.all("error")).toMatchObject([refused]);
    socket.send({ type: "unsubscribe", id: 1 });
    socket.send(ask(most + 2));
    await until(() => socket.all("joined").some(({ id }) => id === most + 2));
    socket.socket.close();
  }
});

test("T17: a window neither reads nor keeps more than a limited number of bytes", async () => {
  const write = (channelId: string, id: string, text: string): Promise<unknown> =>
    admin.insert("Message", { id, channelId, text, at: 1 });
  for (const name of ["a", "b"]) await write("long", `long-${name}`, name.repeat(100_000));
  await write("long", "long-c", "c".repeat(200_000));
  for (let n = 0; n < 10; n += 1) await write("large", `large-${n}`, `${n}`.repeat(900_000));
  const socket = await QuerySocket.open(admin);
  const refusal = (id: number) => socket.all("error").find((one) => one.id === id)?.code;
  const ask = async (id: number, channelId: string, order: object, limit: number) => {
    socket.send({ type: "subscribe", id, entity: "Message", where: { channelId }, order, limit });
    const number = () => socket.all("joined").find((one) => one.id === id)?.sub;
    const isReady = () => socket.all("ready").some(({ sub }) => sub === number());
    await until(() => refusal(id) !== undefined || isReady());
    return refusal(id) ?? "ready";
  };
  expect(await ask(1, "long", { at: "asc" }, 3)).toBe("ready");
  expect(await ask(2, "long", { text: "asc" }, 3)).toBe("RESULT_TOO_LARGE");
  expect(await ask(3, "large", { at: "asc" }, 10)).toBe("RESULT_TOO_LARGE");
  // The rows behind the limit do not count.
  expect(await ask(5, "large", { at: "asc" }, 2)).toBe("ready");
  // The third row takes the place of the first one, and is too long.
  expect(await ask(4, "long", { text: "asc" }, 2)).toBe("ready");
  await admin.request("DELETE", "/api/entities/Message/long-a");
  await until(() => refusal(4) !== undefined);
  expect([refusal(4), refusal(1)]).toEqual(["RESULT_TOO_LARGE", undefined]);
  socket.socket.close();
});

test("rows that are more than the queue of a connection may have are delivered", async () => {
  const own = await startServer(app, { PYLON_SEND_BUFFER_BYTES: "65536" });
  try {
    const author = new TestClient(own.url, ADMIN_TOKEN);
    for (let n = 0; n < 6; n += 1)
      await author.insert("Message", {
        id: `m${n}`,
        channelId: "c",
        text: `${n}`.repeat(900_000),
        at: n,
      });
    const socket = await QuerySocket.open(author);
    const where = { channelId: "c" };
    await socket.subscribe({ entity: "Message", where, order: { at: "asc" }, limit: 6 });
    await socket.subscribe({ entity: "Message", where });
    const ids = socket.all("rows").flatMap(({ rows = [] }) => rows.map(({ id }) => id));
    expect(ids.toSorted()).toEqual([
      "m0",
      "m0",
      "m1",
      "m1",
      "m2",
      "m2",
      "m3",
      "m3",
      "m4",
      "m4",
      "m5",
      "m5",
    ]);
    expect(socket.closed).toBeNull();
    socket.socket.close();
  } finally {
    await own.stop();
  }
});

test("results that are more than the queue of a connection may have are delivered", async () => {
  const big = query({
    args: { n: v.int() },
    handler: (_ctx, { n }) => `${n}`.repeat(900_000),
  });
  const entities = [entity("Note", { text: field.string() })];
  const manifest = buildManifest({ name: "big", version: "1.0.0", entities });
  const own = await startServer(appOf(manifest, { big }), { PYLON_SEND_BUFFER_BYTES: "65536" });
  try {
    const socket = await QuerySocket.open(new TestClient(own.url, ADMIN_TOKEN));
    const ids = Array.from({ length: 6 }, (_, n) => socket.call("big", { n }));
    for (const [n, id] of ids.entries())
      expect(await socket.told(id, 1)).toEqual([`${n}`.repeat(900_000)]);
    expect(socket.closed).toBeNull();
    socket.socket.close();
  } finally {
    await own.stop();
  }
});

test("a row that becomes readable with time reaches a client that returns later", async () => {
  const clock = stillClock();
  const own = await startServer(timed, {}, clock.platform);
  try {
    const author = new TestClient(own.url, ADMIN_TOKEN);
    const reader = await TestClient.guest(own.url);
    const at = new Date(clock.now() + 60_000).toISOString();
    const id = await author.insert("Post", { at });
    const first = await QuerySocket.open(reader);
    await first.subscribe({ entity: "Post" });
    expect(first.all("rows").flatMap(({ rows = [] }) => rows)).toEqual([]);
    const { seq = 0, epoch = "" } = first.all("ready").at(-1) ?? {};
    first.socket.close();
    clock.later(2 * 3600);
    const second = await QuerySocket.open(reader);
    await second.subscribe({ entity: "Post", known: { seq, epoch } });
    expect(second.all("rows")).toMatchObject([{ reset: true, rows: [{ id }] }]);
    second.socket.close();
  } finally {
    await own.stop();
  }
});

test("members of one subscription get all commits in order, and their own replies", async () => {
  const sockets = await Promise.all(
    Array.from({ length: 40 }, () => QuerySocket.open(new TestClient(server.url, null))),
  );
  const subs = await Promise.all(sockets.map((socket) => socket.subscribe({ entity: "Notice" })));
  expect(new Set(subs).size).toBe(1);
  for (let round = 0; round < 20; round += 1) {
    await admin.insert("Notice", { text: `${round}` });
    for (const socket of sockets) socket.send({ type: "ping" });
  }
  for (const socket of sockets) {
    await until(() => socket.all("pong").length === 20);
    await socket.commits(20);
    const texts = socket
      .all("commit")
      .flatMap(({ changes }) => changes.flatMap(({ rows = [] }) => rows.map(({ text }) => text)));
    expect(texts).toEqual(Array.from({ length: 20 }, (_, round) => `${round}`));
    // A pong means that everything up to its number was sent before it.
    const seqs = socket.messages.flatMap((message) =>
      message.type === "commit" || message.type === "pong" ? [message.seq] : [],
    );
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    socket.socket.close();
  }
});

test("the end of a session ends its subscriptions", async () => {
  const carol = await TestClient.guest(server.url);
  const socket = await QuerySocket.open(carol);
  await socket.subscribe({ entity: "Notice" });
  await carol.request("DELETE", "/api/auth/session");
  await until(() => socket.closed !== null);
  expect(socket.closed).toBe(4401);
});
