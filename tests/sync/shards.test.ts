import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bearerProtocol } from "@pylonsync/protocol";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import type { LoadedApp } from "@pylonsync/server";
import fc from "fast-check";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { freePorts } from "../support/servers/free-port.ts";
import board from "../support/shard-app/shards/board.ts";
import broken from "../support/shard-app/shards/broken.ts";
import cards from "../support/shard-app/shards/cards.ts";
import map from "../support/shard-app/shards/map.ts";
import wall from "../support/shard-app/shards/wall.ts";
import { joinWithoutReading, ShardSocket } from "../support/shard-socket.ts";

const manifest = buildManifest({
  name: "shards",
  version: "1.0.0",
  access: "public",
  entities: [entity("Note", { text: field.string() }), entity("User", { email: field.string() })],
});

const DEFINITIONS = { board, cards, map, wall, broken };
const FOLDER = join(import.meta.dir, "..", "support", "shard-app");

/** The shards run on the server's thread, or each on its own. */
function shardApp(isolate: boolean): LoadedApp {
  const shards = Object.entries(DEFINITIONS).map(
    ([name, definition]) => [name, { ...definition, isolate }] as const,
  );
  const files = shards.map(([name]) => [name, join(FOLDER, "shards", `${name}.ts`)] as const);
  return {
    ...appOf(manifest, {}, [], Object.fromEntries(shards)),
    dir: FOLDER,
    shardFiles: new Map(files),
  };
}

describe.each([
  ["on the server's thread", false],
  ["on threads of their own", true],
] as const)("%s", (_place, isIsolated) => {
  let server: TestServer;
  let ports: number;
  beforeAll(async () => {
    ports = await freePorts(4);
    server = await startServer(shardApp(isIsolated), {
      PYLON_PORT: String(ports),
    });
  });
  afterAll(() => server.stop());

  let boards = 0;
  /** A separate shard for each test. */
  function newBoard(): string {
    return `board:test-${(boards += 1)}`;
  }

  async function guest(): Promise<TestClient> {
    return TestClient.guest(server.url);
  }

  function open(
    client: TestClient,
    shardId: string,
    options: Partial<ConstructorParameters<typeof ShardSocket>[1]> = {},
  ): ShardSocket {
    return new ShardSocket(server.url, {
      shard: shardId,
      sid: client.userId,
      token: client.token,
      ...options,
    });
  }

  const admin = (): TestClient => new TestClient(server.url, ADMIN_TOKEN);

  describe("weakness 1: one client delays the shard for all", () => {
    test("a client that is silent or does not read delays no step of the others", async () => {
      const [reader, deaf] = [await guest(), await guest()];
      const socket = joinWithoutReading(deaf, "wall");
      const other = await open(reader, "wall").joined();
      const before = process.memoryUsage().rss;
      // 60 steps per second of 150 KB each would be 9 MB per second for the client that does not
      // read.
      await until(() => other.frames.length > 90);
      const ticks = other.frames.flatMap(({ tick }) => tick ?? []);
      expect(ticks.slice(1).every((tick, index) => tick - (ticks[index] ?? 0) <= 2)).toBe(true);
      // The kernel keeps some of the first frames for the client that does not read.
      await until(async () => {
        const { text } = await admin().request("GET", "/metrics");
        const leftOut = /pylon_shard_steps_left_out_total\{shard="wall"\} (\d+)/.exec(text);
        return Number(leftOut?.[1]) > 10;
      });
      expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024);
      socket.destroy();
      other.close();
    }, 30_000);
  });

  describe("weakness 2: one stream blocks the server", () => {
    test("an event stream of views runs beside other requests, until it is closed", async () => {
      const [watcher, player] = [await guest(), await guest()];
      const id = newBoard();
      const abort = new AbortController();
      const response = await fetch(`${server.url}/api/shards/${id}/connect`, {
        headers: { Authorization: `Bearer ${watcher.token}` },
        signal: abort.signal,
      });
      expect([response.status, response.headers.get("content-type")]).toEqual([
        200,
        "text/event-stream",
      ]);
      let text = "";
      const reading = (async () => {
        for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
      })().catch(() => undefined);
      const other = await open(player, id).joined();
      other.send({ add: 5 });
      await until(() => text.includes(`"${player.userId}":5`));
      expect(text).toMatch(/^id: \d+\ndata: \{"scores":/m);
      abort.abort();
      await reading;
      await until(() => !JSON.stringify(other.view).includes(watcher.userId));
      other.close();
    });
  });

  describe("weakness 3: any user can be impersonated", () => {
    test("a subscriber id that is not the token's user is rejected", async () => {
      const [victim, attacker] = [await guest(), await guest()];
      const spoofed = open(attacker, newBoard(), { sid: victim.userId });
      expect(await spoofed.ended()).toMatchObject({
        code: 1008,
        reason: expect.stringContaining("unauthorized: "),
      });
      const nobody = new ShardSocket(server.url, { shard: "board", sid: "x", token: null });
      expect((await nobody.ended())?.code).toBe(1008);
      const forged = new ShardSocket(server.url, {
        shard: "board",
        sid: "x",
        token: "pylon_forged",
      });
      expect((await forged.ended())?.code).toBe(1008);
    });

    test("an input over HTTP belongs to its caller, who must be connected", async () => {
      const [victim, attacker] = [await guest(), await guest()];
      const id = newBoard();
      const path = `/api/shards/${id}/input`;
      const socket = await open(victim, id).joined();
      const spoof = await attacker.request("POST", path, {
        input: { add: 1 },
        subscriber_id: victim.userId,
      });
      expect([spoof.status, spoof.body["error"]]).toMatchObject([
        403,
        { code: "FORBIDDEN", field: "subscriber_id" },
      ]);
      expect((await attacker.request("POST", path, { input: { add: 1 } })).body).toMatchObject({
        error: { code: "INPUT_REJECTED" },
      });
      const anonymous = new TestClient(server.url, null);
      expect((await anonymous.request("POST", path, { input: { add: 1 } })).status).toBe(401);
      const own = await victim.request("POST", path, { input: { add: 4 }, client_seq: 3 });
      expect([own.status, own.body]).toEqual([200, { accepted: true, seq: 1 }]);
      await socket.heard(({ ack }) => ack === 3);
      expect(socket.view).toEqual({ scores: { [victim.userId]: 4 } });
      expect((await victim.request("POST", path, { input: { add: "x" } })).body).toMatchObject({
        error: { code: "INVALID_ARGS", field: "input.add" },
      });
      socket.close();
    });

    test("only the admin can list the running shards", async () => {
      const player = await guest();
      const id = newBoard();
      const socket = await open(player, id).joined();
      for (const path of ["/api/shards", `/api/shards/${id}`])
        expect((await player.request("GET", path)).status).toBe(403);
      expect((await admin().request("GET", `/api/shards/${id}`)).body).toMatchObject({
        id,
        running: true,
        subscribers: 1,
        tick: expect.any(Number),
      });
      socket.close();
    });
  });

  describe("weakness 5: inputs get no response", () => {
    test("an ack names the last input in a view, a refusal says why one was rejected", async () => {
      const player = await guest();
      const socket = await open(player, newBoard()).joined();
      socket.send({ add: 2 }, 1);
      socket.send({ add: 13 }, 2);
      socket.send({ add: 14 }, 3);
      socket.send({ nonsense: true }, 4);
      socket.send({ add: 3 }, 5);
      await socket.heard(({ ack }) => ack === 5);
      expect(socket.view).toEqual({ scores: { [player.userId]: 5 } });
      const refusals = socket.frames.filter((frame) => "refused" in frame);
      // An invalid input is rejected immediately, the others by the step.
      expect(refusals.map(({ refused, code }) => [refused, code])).toEqual([
        [4, "INVALID_ARGS"],
        [2, "UNLUCKY"],
        [3, "INTERNAL"],
      ]);
      expect(refusals.find(({ refused }) => refused === 3)?.message).not.toContain(
        "fault of the app",
      );
      socket.close();
    });
  });

  describe("weakness 6: every client is sent everything in every step", () => {
    test("the view is sent immediately, then only changes", async () => {
      const player = await guest();
      const socket = await open(player, newBoard()).joined();
      expect(socket.frames[0]).toEqual({ tick: expect.any(Number), snapshot: { scores: {} } });
      await until(() => JSON.stringify(socket.view).includes(player.userId));
      const quiet = socket.frames.length;
      socket.send({ add: 1 }, 1);
      await socket.heard(({ ack }) => ack === 1);
      expect(socket.frames.length).toBe(quiet + 1);
      expect(socket.frames.at(-1)).toEqual({
        tick: expect.any(Number),
        ack: 1,
        base: expect.any(Number),
        delta: { s: { scores: { s: { [player.userId]: [1] } } } },
      });
      socket.close();
    });

    test("an older client gets whole views, with the tick in 64 bits, on its port", async () => {
      const player = await guest();
      const old = await new ShardSocket(`http://127.0.0.1:${ports + 3}`, {
        shard: newBoard(),
        sid: player.userId,
        token: player.token,
        isOld: true,
        path: "/",
      }).joined();
      expect(old.socket.protocol).toBe(bearerProtocol(player.token ?? ""));
      old.socket.send(new TextEncoder().encode('{"input":{"add":7}}'));
      const whole = { scores: { [player.userId]: 7 } };
      await until(() => JSON.stringify(old.views.at(-1)?.snapshot) === JSON.stringify(whole));
      expect(old.frames).toEqual([]);
      old.close();
    });

    test("players who are far away are never sent, those who come near are", async () => {
      const [ann, bob] = [await guest(), await guest()];
      const id = newBoard().replace("board", "map");
      const anns = await open(ann, id).joined();
      anns.send({ x: 1000 }, 1);
      await anns.heard(({ ack }) => ack === 1);
      const bobs = await open(bob, id, { rate: "20" }).joined();
      bobs.send({ x: 500 }, 1);
      await bobs.heard(({ ack }) => ack === 1);
      await until(() => JSON.stringify(anns.view).includes('"size":2'));
      expect(JSON.stringify(anns.frames)).not.toContain(bob.userId);
      expect(JSON.stringify(bobs.frames)).not.toContain(ann.userId);
      bobs.send({ x: 995 }, 2);
      const both = { [ann.userId]: { x: 1000, y: 0 }, [bob.userId]: { x: 995, y: 0 } };
      await until(() => Bun.deepEquals(anns.view, { heroes: both, size: 2 }));
      await until(() => Bun.deepEquals(bobs.view, { heroes: both, size: 2 }));
      anns.close();
      await until(() =>
        Bun.deepEquals(bobs.view, { heroes: { [bob.userId]: both[bob.userId] }, size: 1 }),
      );
      bobs.close();
    });

    test("what a player may not see is never sent", async () => {
      const [ann, bob] = [await guest(), await guest()];
      const [anns, bobs] = await Promise.all([
        open(ann, "cards").joined(),
        open(bob, "cards").joined(),
      ]);
      anns.send({ card: "the-ace-of-ann" }, 1);
      await bobs.heard((frame) => JSON.stringify(frame.delta)?.includes("played") ?? false);
      await until(() => JSON.stringify(anns.view).includes("the-ace-of-ann"));
      expect(JSON.stringify(bobs.frames)).not.toContain("the-ace");
      anns.close();
      bobs.close();
    });
  });

  describe("weakness 7: connections of one user end each other", () => {
    test("the end of one connection leaves the others of its user in the shard", async () => {
      const player = await guest();
      const id = newBoard();
      const first = await open(player, id).joined();
      const second = await open(player, id).joined();
      first.close();
      await first.ended();
      second.send({ add: 1 }, 1);
      await second.heard(({ ack }) => ack === 1);
      expect(second.view).toEqual({ scores: { [player.userId]: 1 } });
      second.close();
    });

    test("a missing shard closes the socket with a code that ends the retries", async () => {
      const player = await guest();
      for (const [shardId, reason] of [
        ["nowhere", 'The shard "nowhere" does not exist.'],
        ["cards:1", 'The shard "cards:1" does not exist.'],
        ["../etc", "does not exist"],
        ["__proto__", "does not exist"],
      ] as const)
        expect(await open(player, shardId).ended()).toEqual({
          code: 4404,
          reason: expect.stringContaining(reason),
        });
      expect(await open(player, newBoard(), { rate: "0" }).ended()).toEqual({
        code: 1008,
        reason: '"rate" must be a whole number from 1 to 60.',
      });
      const unnamed = new ShardSocket(server.url, { sid: player.userId, token: player.token });
      expect((await unnamed.ended())?.code).toBe(4404);
    });
  });

  describe("weakness 8: dead shards stay", () => {
    test("one that has ended closes its clients, is not listed, and starts over", async () => {
      const player = await guest();
      const id = newBoard();
      const socket = await open(player, id).joined();
      socket.send({ add: 5 }, 1);
      socket.send({ add: 100 }, 2);
      expect(await socket.ended()).toEqual({ code: 4410, reason: "the shard has ended" });
      expect(JSON.stringify(socket.view)).toContain("105");
      expect((await admin().request("GET", `/api/shards/${id}`)).status).toBe(404);
      const again = await open(player, id).joined();
      await until(() => JSON.stringify(again.view).includes(`"${player.userId}":0`));
      again.close();
    });

    test("one without a tick rate stops when it is empty, and resumes later", async () => {
      const player = await guest();
      const socket = await open(player, "cards").joined();
      socket.send({ card: "kept" }, 1);
      await socket.heard(({ ack }) => ack === 1);
      socket.close();
      const isListed = async (): Promise<boolean> =>
        (await admin().request("GET", "/api/shards")).text.includes('"cards"');
      await until(async () => !(await isListed()));
      const again = await open(player, "cards").joined();
      expect(again.frames[0]?.snapshot).toMatchObject({ hand: ["kept"] });
      again.close();
    });

    test("one that throws in each step is ended, without effect on others", async () => {
      const player = await guest();
      const other = await open(player, newBoard()).joined();
      const bad = open(player, "broken");
      expect(await bad.ended()).toMatchObject({ code: 4410 });
      other.send({ add: 1 }, 1);
      await other.heard(({ ack }) => ack === 1);
      other.close();
    });
  });

  describe("weakness 11: a port without guards", () => {
    test("pages of other origins can't connect", async () => {
      const player = await guest();
      const foreign = open(player, newBoard(), { headers: { Origin: "https://evil.test" } });
      await foreign.ended();
      expect(foreign.isOpen).toBe(false);
    });

    test("the end of a session closes its connections, and ticks are plain numbers", async () => {
      const player = await guest();
      const socket = await open(player, newBoard()).joined();
      expect(Number.isSafeInteger(socket.frames[0]?.tick)).toBe(true);
      expect((await player.request("DELETE", "/api/auth/session")).status).toBe(200);
      expect((await socket.ended())?.code).toBe(4401);
      expect((await open(player, newBoard()).ended())?.code).toBe(1008);
    });

    test("the admin may join as any user", async () => {
      const id = newBoard();
      const socket = await open(new TestClient(server.url, ADMIN_TOKEN, "anyone"), id).joined();
      await until(() => JSON.stringify(socket.view).includes("anyone"));
      socket.close();
    });

    test("an API key needs the write scope to join, and is cut off when revoked", async () => {
      const userId = await admin().insert("User", { email: "bot@example.com" });
      const session = await admin().request("POST", "/api/auth/session", { user_id: userId });
      const owner = new TestClient(server.url, String(session.body["token"]), userId);
      const keyOf = async (scopes: readonly string[]): Promise<TestClient> => {
        const { status, body } = await owner.request("POST", "/api/auth/api-keys", {
          name: "bot",
          scopes,
        });
        expect(status).toBe(201);
        return new TestClient(server.url, String(body["key"]), owner.userId);
      };
      const id = newBoard();
      expect((await open(await keyOf(["read"]), id).ended())?.code).toBe(1008);
      const bot = await open(await keyOf(["read", "write"]), id).joined();
      const keys = await owner.request("GET", "/api/auth/api-keys");
      for (const { id: key } of keys.body as unknown as { readonly id: string }[])
        await owner.request("DELETE", `/api/auth/api-keys/${key}`);
      expect((await bot.ended())?.code).toBe(4401);
    });
  });

  describe("weakness 12: nothing is limited", () => {
    test("a flooding client is warned once, slowed down, then cut off; others go on", async () => {
      const [flooder, other] = [await guest(), await guest()];
      const id = newBoard();
      const [bad, good] = await Promise.all([open(flooder, id).joined(), open(other, id).joined()]);
      for (let input = 1; input <= 150; input += 1) bad.send({ add: 1 }, input);
      await bad.heard(({ code }) => code === "RATE_LIMITED");
      // The allowance refills while the inputs arrive.
      await bad.heard(({ ack }) => ack !== undefined && ack >= 100);
      expect(bad.frames.filter(({ code }) => code === "RATE_LIMITED").length).toBe(1);
      for (let input = 0; input < 300; input += 1) bad.socket.send("x");
      expect((await bad.ended())?.code).toBe(1008);
      good.send({ add: 1 }, 1);
      await good.heard(({ ack }) => ack === 1);
      good.close();
    });

    test("an input that is too large, deep or not JSON is rejected; the client stays", async () => {
      const player = await guest();
      const socket = await open(player, newBoard()).joined();
      for (const [text, code] of [
        [JSON.stringify({ input: { add: 1, pad: "x".repeat(5000) } }), "PAYLOAD_TOO_LARGE"],
        [`{"input":${"[".repeat(40)}${"]".repeat(40)}}`, "INVALID_JSON"],
        ["{", "INVALID_JSON"],
        ["[]", "INVALID_JSON"],
        ['{"input":{"add":1},"client_seq":-1}', "INVALID_JSON"],
        ['{"input":{"add":1},"seen":-1}', "INVALID_JSON"],
        ['{"input":{"add":1},"seen":1e999}', "INVALID_JSON"],
        ['{"client_seq":1}', "INVALID_ARGS"],
      ] as const) {
        const before = socket.frames.length;
        socket.socket.send(text);
        await until(() => socket.frames.slice(before).some((frame) => frame.code === code));
      }
      socket.send({ add: 1 }, 9);
      await socket.heard(({ ack }) => ack === 9);
      socket.close();
    });

    test("a hostile frame is rejected, and has no other effect", async () => {
      const player = await guest();
      const id = newBoard();
      const socket = await open(player, id).joined();
      const frame = fc.oneof(
        fc.uint8Array({ maxLength: 64 }),
        fc.string({ maxLength: 64 }),
        fc.json({ maxDepth: 3 }),
        fc
          .record({ input: fc.jsonValue(), client_seq: fc.jsonValue() })
          .map((it) => JSON.stringify(it)),
        fc.constantFrom('{"input":{"__proto__":{"add":1}}}', '{"__proto__":{"input":{"add":1}}}'),
      );
      for (const hostile of fc.sample(frame, 90))
        socket.socket.send(typeof hostile === "string" ? hostile : Uint8Array.from(hostile));
      await until(() => socket.frames.filter((heard) => "refused" in heard).length > 20);
      expect(socket.closed).toBeNull();
      const { status, body } = await admin().request("GET", `/api/shards/${id}`);
      expect([status, body["running"]]).toEqual([200, true]);
      socket.close();
    });

    test("a full shard admits no other player, and a kicked one can't return", async () => {
      const id = newBoard();
      const players = await Promise.all(Array.from({ length: 4 }, guest));
      const sockets: ShardSocket[] = [];
      for (const player of players.slice(0, 3)) sockets.push(await open(player, id).joined());
      const [first, , , late] = players;
      if (first === undefined || late === undefined) throw new Error("Nobody came.");
      expect(await open(late, id).ended()).toEqual({
        code: 1013,
        reason: "shard is at max subscribers",
      });
      sockets[0]?.send({ add: 99 }, 1);
      expect(await sockets[0]?.ended()).toEqual({ code: 4403, reason: "kicked: cheater" });
      expect((await open(first, id).ended())?.code).toBe(1008);
      sockets.push(await open(late, id).joined());
      for (const socket of sockets) socket.close();
    });

    test("a user can be in at most four shards", async () => {
      const player = await guest();
      const sockets: ShardSocket[] = [];
      for (let count = 0; count < 4; count += 1)
        sockets.push(await open(player, newBoard()).joined());
      expect(await open(player, newBoard()).ended()).toMatchObject({
        code: 1013,
        reason: expect.stringContaining("at most 4"),
      });
      for (const socket of sockets) socket.close();
    });
  });

  test("only the admin can stop, kick and delete; a stopped shard is kept", async () => {
    const player = await guest();
    const id = newBoard();
    const socket = await open(player, id).joined();
    socket.send({ add: 8 }, 1);
    await socket.heard(({ ack }) => ack === 1);
    for (const [method, path] of [
      ["POST", "/stop"],
      ["POST", "/kick"],
      ["DELETE", ""],
    ] as const) {
      const answer = await player.request(method, `/api/shards/${id}${path}`, undefined);
      expect(answer.status).toBe(403);
    }
    const stopped = await admin().request("POST", `/api/shards/${id}/stop`);
    expect([stopped.status, stopped.body]).toEqual([200, { stopped: true }]);
    expect((await socket.ended())?.code).toBe(4410);
    const second = await open(player, id).joined();
    expect(second.frames[0]?.snapshot).toEqual({ scores: { [player.userId]: 8 } });
    const kicked = await admin().request("POST", `/api/shards/${id}/kick`, {
      player: player.userId,
      reason: "enough",
    });
    expect(kicked.body).toEqual({ kicked: true });
    expect(await second.ended()).toEqual({ code: 4403, reason: "kicked: enough" });
    const forgotten = await admin().request("DELETE", `/api/shards/${id}`);
    expect(forgotten.body).toEqual({ deleted: true });
    expect((await admin().request("DELETE", `/api/shards/${id}`)).status).toBe(404);
  });

  test("weakness 10: a restarted server resumes its shards", async () => {
    const dir = mkdtempSync(join(tmpdir(), "pylon-shards-"));
    const env = {
      PYLON_DB_PATH: join(dir, "app.db"),
      PYLON_IN_MEMORY: "0",
      PYLON_SINGLE_PORT: "1",
    };
    const app = appOf(manifest, {}, [], { board });
    const first = await startServer(app, env);
    const player = await TestClient.guest(first.url);
    const options = { shard: "board", sid: player.userId, token: player.token };
    const socket = await new ShardSocket(first.url, options).joined();
    socket.send({ add: 21 }, 1);
    await socket.heard(({ ack }) => ack === 1);
    const tick = socket.frames.at(-1)?.tick ?? 0;
    await first.stop();
    expect(await socket.ended()).toEqual({ code: 1001, reason: "the server is stopping" });
    const second = await startServer(app, env);
    const again = await new ShardSocket(second.url, options).joined();
    expect(again.frames[0]?.snapshot).toEqual({ scores: { [player.userId]: 21 } });
    expect(again.frames[0]?.tick).toBeGreaterThanOrEqual(tick);
    again.close();
    await second.stop();
    rmSync(dir, { recursive: true, force: true });
  });
});
