import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { shard, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { connectShard } from "@pylonsync/sync/shards";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { ShardSocket } from "../support/shard-socket.ts";

const manifest = buildManifest({
  name: "tokens",
  version: "1.0.0",
  access: "public",
  entities: [entity("Note", { text: field.string() })],
});
const table = shard({
  tickRate: 50,
  graceSeconds: 0,
  instances: true,
  maxPlayers: 1,
  maxSpectators: 2,
  input: v.object({ card: v.int() }),
  init: () => {
    const hands: Record<string, number[]> = {};
    return { hands, played: 0 };
  },
  onJoin: ({ hands }, { id }) => {
    hands[id] = [];
  },
  onInput: (state, { id }, { card }, step) => {
    if (card === 0) step.kick("eve", "enough seen");
    state.hands[id]?.push(card);
    state.played += 1;
  },
  viewFor: ({ hands, played }, { id }) => ({ hand: hands[id] ?? [], played }),
  viewForSpectators: ({ played }) => ({ hand: [], played }),
});
const locked = shard({
  instances: true,
  inviteOnly: true,
  input: v.any(),
  init: () => ({}),
  view: () => "inside",
});

let server: TestServer;
beforeAll(async () => {
  server = await startServer(appOf(manifest, {}, [], { table, locked }));
});
afterAll(() => server.stop());

const admin = (): TestClient => new TestClient(server.url, ADMIN_TOKEN);
const guest = (): Promise<TestClient> => TestClient.guest(server.url);
let tables = 0;
const fresh = (): string => `table:t${(tables += 1)}`;

async function tokenOf(
  client: TestClient,
  id: string,
  body: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const { status, body: answer } = await client.request("POST", `/api/shards/${id}/token`, body);
  if (status !== 200) throw new Error(JSON.stringify(answer));
  return String(answer["token"]);
}

function open(shardId: string | undefined, joinToken: string): ShardSocket {
  return new ShardSocket(server.url, {
    ...(shardId === undefined ? {} : { shard: shardId }),
    token: null,
    joinToken,
  });
}

describe("a join token", () => {
  test("admits its user to that shard only, and can't be forged", async () => {
    const player = await guest();
    const id = fresh();
    const token = await tokenOf(player, id);
    const socket = await open(id, token).joined();
    socket.send({ card: 7 }, 1);
    await socket.heard(({ ack }) => ack === 1);
    expect(socket.view).toEqual({ hand: [7], played: 1 });
    expect((await open(fresh(), token).ended())?.code).toBe(4402);
    expect((await open(id, `${token}x`).ended())?.code).toBe(4402);
    expect((await open(id, "forged").ended())?.code).toBe(4402);
    socket.close();
  });

  test("is issued to its own user, or by the admin for another user", async () => {
    const [ann, eve] = [await guest(), await guest()];
    const id = fresh();
    const path = `/api/shards/${id}/token`;
    const spoofed = await eve.request("POST", path, { user_id: ann.userId });
    expect([spoofed.status, spoofed.body["error"]]).toMatchObject([403, { field: "user_id" }]);
    const nobody = new TestClient(server.url, null);
    expect((await nobody.request("POST", path, {})).status).toBe(401);
    const wrong = await ann.request("POST", path, { role: "admin" });
    expect([wrong.status, wrong.body["error"]]).toMatchObject([400, { field: "role" }]);
    expect((await ann.request("POST", "/api/shards/none/token", {})).status).toBe(404);
    const socket = await open(undefined, await tokenOf(admin(), id, { user_id: "zoe" })).joined();
    socket.send({ card: 1 }, 1);
    await socket.heard(({ ack }) => ack === 1);
    socket.close();
  });

  test("is invalid once its user's session has ended", async () => {
    const player = await guest();
    const id = fresh();
    const token = await tokenOf(player, id);
    const socket = await open(id, token).joined();
    // Requested before the session ends: afterwards nothing arrives.
    const { reconnect } = await socket.heard((frame) => frame.reconnect !== undefined);
    await player.request("DELETE", "/api/auth/session");
    await until(() => socket.closed !== null, 1_000);
    expect(socket.closed?.code).toBe(4401);
    expect((await open(id, token).ended())?.code).toBe(1008);
    expect((await open(id, String(reconnect)).ended())?.code).toBe(1008);
  });

  test("is followed by a private one, with which the client reconnects by itself", async () => {
    const [ann, watcher] = [await guest(), await guest()];
    const id = fresh();
    const other = await open(id, await tokenOf(ann, id)).joined();
    const spectator = open(id, await tokenOf(watcher, id, { role: "spectator" }));
    const { reconnect } = await other.heard((frame) => frame.reconnect !== undefined);
    await spectator.heard((frame) => frame.reconnect !== undefined);
    expect(JSON.stringify(spectator.frames)).not.toContain(String(reconnect));
    spectator.close();
    other.close();
    await other.ended();
    let asked = 0;
    const client = connectShard<{ readonly played: number }, { card: number }>(id, {
      baseUrl: server.url,
      reconnectBackoffMs: 10,
      joinToken: () => {
        asked += 1;
        return tokenOf(ann, id);
      },
    });
    let views = 0;
    client.onSnapshot(() => void (views += 1));
    await until(() => views > 0);
    await new Promise<void>((resolve) => {
      client.onClose(() => resolve());
      void admin().request("POST", `/api/shards/${id}/stop`);
    });
    client.close();
    const again = await open(id, String(reconnect)).joined();
    expect(again.view).toMatchObject({ played: 0 });
    expect(asked).toBe(1);
    again.close();
  });
});

describe("a spectator", () => {
  test("sees no hand, can't play, takes no seat, and is limited in number", async () => {
    const [ann, bob, eve] = [await guest(), await guest(), await guest()];
    const id = fresh();
    const early = open(id, await tokenOf(bob, id, { role: "spectator" }));
    expect(await early.ended()).toEqual({
      code: 1013,
      reason: "The shard has no players at the moment.",
    });
    const player = await open(id, await tokenOf(ann, id)).joined();
    const watching = new ShardSocket(server.url, {
      shard: id,
      sid: bob.userId,
      token: bob.token,
      role: "spectator",
    });
    await watching.joined();
    const second = await open(id, await tokenOf(bob, id, { role: "spectator" })).joined();
    const third = open(id, await tokenOf(eve, id, { role: "spectator" }));
    expect(await third.ended()).toEqual({ code: 1013, reason: "shard is at max spectators" });
    player.send({ card: 9 }, 1);
    await player.heard(({ ack }) => ack === 1);
    await until(() => JSON.stringify(watching.view).includes('"played":1'));
    expect(JSON.stringify([watching.frames, second.frames])).not.toContain("9]");
    watching.send({ card: 5 }, 1);
    expect((await watching.heard(({ refused }) => refused === 1)).code).toBe("FORBIDDEN");
    const { body } = await admin().request("GET", `/api/shards/${id}`);
    expect(body["subscribers"]).toBe(1);
    for (const socket of [player, watching, second]) socket.close();
  });

  test("is rejected if kicked, or if the shard does not allow spectators", async () => {
    const ann = await guest();
    const id = fresh();
    const player = await open(id, await tokenOf(ann, id)).joined();
    const eves = { user_id: "eve", role: "spectator" };
    const eve = await open(id, await tokenOf(admin(), id, eves)).joined();
    player.send({ card: 0 }, 1);
    expect(await eve.ended()).toEqual({ code: 4403, reason: "kicked: enough seen" });
    expect((await open(id, await tokenOf(admin(), id, eves)).ended())?.code).toBe(1008);
    player.close();
    const inside = await open("locked:1", await tokenOf(admin(), "locked:1", { user_id: "ann" }));
    await inside.joined();
    const token = await tokenOf(admin(), "locked:1", eves);
    expect((await open("locked:1", token).ended())?.reason).toContain("does not allow spectators");
    inside.close();
  });
});

test("a shard by invitation admits only users with a token", async () => {
  const ann = await guest();
  expect((await ann.request("POST", "/api/shards/locked:2/token", {})).status).toBe(403);
  const direct = new ShardSocket(server.url, {
    shard: "locked:2",
    sid: ann.userId,
    token: ann.token,
  });
  expect(await direct.ended()).toMatchObject({
    code: 1008,
    reason: expect.stringContaining("by invitation"),
  });
  const token = await tokenOf(admin(), "locked:2", { user_id: ann.userId });
  const invited = await open("locked:2", token).joined();
  expect(invited.view).toBe("inside");
  invited.close();
});
