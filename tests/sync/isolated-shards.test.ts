import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import board from "../support/shard-app/shards/board.ts";
import trap from "../support/shard-app/shards/trap.ts";
import { ShardSocket } from "../support/shard-socket.ts";

// Threads that hang or end, next to shards that must not be affected.
const manifest = buildManifest({
  name: "isolated",
  version: "1.0.0",
  access: "public",
  entities: [entity("Note", { text: field.string() })],
});
const FOLDER = join(import.meta.dir, "..", "support", "shard-app");

let server: TestServer;
beforeAll(async () => {
  const definitions = { trap, board: { ...board, isolate: false } };
  server = await startServer({
    ...appOf(manifest, {}, [], definitions),
    dir: FOLDER,
    shardFiles: new Map([["trap", join(FOLDER, "shards", "trap.ts")]]),
  });
});
afterAll(() => server.stop());

async function joined(shard: string): Promise<ShardSocket> {
  const { userId, token } = await TestClient.guest(server.url);
  return new ShardSocket(server.url, { shard, sid: userId, token }).joined();
}

/** Leaves a saved shard behind that has received one input. */
async function saved(id: string): Promise<void> {
  const socket = await joined(id);
  socket.send({ how: "nothing" }, 1);
  await socket.heard(({ ack }) => ack === 1);
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  expect((await admin.request("POST", `/api/shards/${id}/stop`)).status).toBe(200);
  await socket.ended();
}

async function restarts(why: string): Promise<number> {
  const { text } = await new TestClient(server.url, ADMIN_TOKEN).request("GET", "/metrics");
  const line = new RegExp(`pylon_shard_restarts_total\\{shard="trap",why="${why}"\\} (\\d+)`);
  return Number(line.exec(text)?.[1] ?? 0);
}

test.each([
  ["loop", "stuck"],
  ["exit", "crashed"],
  ["crash", "crashed"],
])(
  "weakness 1: only the shard whose code does %s goes down, and it comes back",
  async (how, why) => {
    await saved(`trap:${how}`);
    const [bad, beside, here] = await Promise.all([
      joined(`trap:${how}`),
      joined(`trap:beside-${how}`),
      joined(`board:${how}`),
    ]);
    const before = await restarts(why);
    const counter = setInterval(() => {
      here.send({ add: 1 });
      beside.send({ how: "count" });
    }, 20);
    bad.send({ how }, 1);
    const startedAt = performance.now();
    expect(await bad.ended()).toEqual({ code: 1013, reason: "the shard is restarting" });
    for (const other of [here, beside]) {
      expect(other.closed).toBeNull();
      // They kept stepping: 50 steps per second, each with a change.
      const due = (performance.now() - startedAt) / 20;
      expect(other.frames.length).toBeGreaterThan(due / 3);
      const heard = other.frames.length;
      await until(() => other.frames.length > heard + 3);
      other.close();
    }
    clearInterval(counter);
    expect(await restarts(why)).toBe(before + 1);
    const again = await joined(`trap:${how}`);
    expect(again.view).toEqual({ inputs: 1 });
    again.close();
  },
  20_000,
);
