import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { internalQuery, mutation, query, v } from "@pylonsync/functions";
import { playReplay } from "@pylonsync/functions/simulation";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import clerk from "../support/shard-app/shards/clerk.ts";
import { ShardSocket } from "../support/shard-socket.ts";

const manifest = buildManifest({
  name: "clerks",
  version: "1.0.0",
  entities: [entity("Note", { ownerId: field.string(), text: field.string() })],
  policies: [policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" })],
});
const FOLDER = join(import.meta.dir, "..", "support", "shard-app");

const functions = {
  whoami: internalQuery({ args: {}, handler: (ctx) => ctx.auth.userId }),
  adminOnly: query({ auth: "admin", args: {}, handler: () => "secret" }),
  write: mutation({
    args: { text: v.string() },
    handler: async (ctx, { text }) => {
      const id = await ctx.db.insert("Note", { ownerId: ctx.auth.userId ?? "nobody", text });
      if (text === "bad") throw ctx.error("BAD_TEXT", "Not that one.");
      return id;
    },
  }),
};

interface Result {
  readonly kind: string;
  readonly name: string;
  readonly value: unknown;
  readonly code: string | null;
}

describe.each([
  ["on the server's thread", false],
  ["on threads of their own", true],
] as const)("%s", (_place, isIsolated) => {
  let server: TestServer;
  beforeAll(async () => {
    const shards = { clerk: { ...clerk, isolate: isIsolated } };
    server = await startServer({
      ...appOf(manifest, functions, [], shards),
      dir: FOLDER,
      shardFiles: new Map([["clerk", join(FOLDER, "shards", "clerk.ts")]]),
    });
  });
  afterAll(() => server.stop());

  /** Requests the calls, and waits for all results. */
  async function results(
    socket: ShardSocket,
    inputs: readonly object[],
  ): Promise<readonly Result[]> {
    for (const input of inputs) socket.send(input);
    const listed = (): readonly Result[] => (Array.isArray(socket.view) ? socket.view : []);
    await until(() => listed().length === inputs.length);
    // They arrive in the order in which the database answers.
    const keyOf = ({ name, kind }: Result): string => `${name} ${kind}`;
    return listed().toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }

  async function joined(shard: string): Promise<{ me: string; socket: ShardSocket }> {
    const { userId, token } = await TestClient.guest(server.url);
    const socket = await new ShardSocket(server.url, { shard, sid: userId, token }).joined();
    return { me: userId, socket };
  }

  test("functions run as the server, without checks, or as a player, with them", async () => {
    const { me, socket } = await joined("clerk:run");
    const asked = await results(socket, [
      { kind: "run", name: "adminOnly" },
      { kind: "run", name: "missing" },
      { kind: "run", name: "whoami" },
      { kind: "run", name: "write", args: { text: "bad" } },
    ]);
    expect(asked).toMatchObject([
      { name: "adminOnly", value: "secret", code: null },
      { name: "missing", value: null, code: "FN_NOT_FOUND" },
      { name: "whoami", value: null, code: null },
      { name: "write", value: null, code: "BAD_TEXT" },
    ]);
    socket.close();
    const own = await joined("clerk:own");
    const asPlayer = await results(own.socket, [
      { kind: "run", name: "adminOnly", isOwn: true },
      { kind: "run", name: "whoami", isOwn: true },
      { kind: "run", name: "write", args: { text: 1 }, isOwn: true },
    ]);
    expect(asPlayer).toMatchObject([
      { name: "adminOnly", value: null, code: "FORBIDDEN" },
      { name: "whoami", value: own.me, code: null },
      { name: "write", value: null, code: "INVALID_ARGS" },
    ]);
    own.socket.close();
    expect(me).not.toBe(own.me);
  });

  test("an admin who plays has only the rights of a user", async () => {
    const options = { shard: "clerk:admin", sid: "ann", token: ADMIN_TOKEN };
    const socket = await new ShardSocket(server.url, options).joined();
    expect(await results(socket, [{ kind: "run", name: "adminOnly", isOwn: true }])).toMatchObject([
      { code: "FORBIDDEN" },
    ]);
    socket.close();
  });

  test("rows are read as the server, or with the policies of a player", async () => {
    const { me, socket } = await joined("clerk:rows");
    const [written] = await results(socket, [
      { kind: "run", name: "write", args: { text: "mine" }, isOwn: true },
    ]);
    const theirs = await joined("clerk:theirs");
    const row = { id: written?.value, ownerId: me, text: "mine" };
    expect(
      await results(theirs.socket, [{ kind: "get", name: "Note", args: written?.value }]),
    ).toMatchObject([{ value: row }]);
    theirs.socket.close();
    const again = await joined("clerk:theirs-as-themselves");
    const asPlayer = await results(again.socket, [
      { kind: "get", name: "Note", args: written?.value, isOwn: true },
      { kind: "read", name: "Note", args: { text: "mine" }, isOwn: true },
      { kind: "read", name: "Nothing", args: {} },
    ]);
    expect(asPlayer.map(({ kind, value, code }) => [kind, value, code !== null])).toEqual([
      ["get", null, false],
      ["read", [], false],
      ["read", null, true],
    ]);
    again.socket.close();
    const all = await joined("clerk:all");
    expect(
      await results(all.socket, [{ kind: "read", name: "Note", args: { text: "mine" } }]),
    ).toMatchObject([{ value: [row] }]);
    all.socket.close();
    socket.close();
  });

  test("timers fire after their number of steps, and a recording of it all is exact", async () => {
    const id = "clerk:recorded";
    const { socket } = await joined(id);
    const asked = await results(socket, [
      { kind: "run", name: "whoami", isOwn: true },
      { kind: "run", name: "write", args: { text: "bad" } },
      { kind: "wait", name: "timer", args: 7 },
    ]);
    expect(asked).toMatchObject([
      { name: "timer", value: 7 },
      { name: "whoami" },
      { code: "BAD_TEXT" },
    ]);
    const seen = socket.view;
    const admin = new TestClient(server.url, ADMIN_TOKEN);
    expect((await admin.request("POST", `/api/shards/${id}/stop`)).status).toBe(200);
    let replays: readonly { readonly id: string }[] = [];
    await until(async () => {
      replays = JSON.parse((await admin.request("GET", `/api/shards/${id}/replays`)).text);
      return replays.length > 0;
    });
    const path = `/api/shards/${id}/replays/${replays[0]?.id}`;
    const player = playReplay(clerk, JSON.parse((await admin.request("GET", path)).text));
    const logged: string[] = [];
    while (player.step()) logged.push(...player.log.map(({ message }) => message));
    expect<unknown>(player.view()).toEqual(seen);
    expect(player.verdict).toMatchObject({ isSame: true, checked: 1 });
    expect(logged).toEqual(Array.from({ length: 3 }, () => "clerk was asked"));
    const { text } = await admin.request("GET", "/metrics");
    expect(text).toMatch(/pylon_shard_calls_total\{shard="clerk",outcome="ok"\} \d/);
    expect(text).toMatch(/pylon_shard_calls_total\{shard="clerk",outcome="failed"\} \d/);
  });
});
