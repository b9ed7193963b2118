import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { CloseCode, type ChangeEvent } from "@pylonsync/protocol";
import { createSyncEngine, createWriteThroughStorage, systemPlatform, type SyncEngine } from "@pylonsync/sync";
import { TestClient, until } from "./support/client.ts";
import { Cluster } from "./support/cluster.ts";
import { ADMIN_TOKEN } from "./support/server.ts";
import { PostgresServer } from "./support/servers/postgres.ts";

const FILES = {
  "app.ts": `import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
export default buildManifest({
  name: "replicas", version: "1.0.0",
  entities: [entity("Item", { n: field.int(), shared: field.bool(), ownerId: field.string().owner() })],
  policies: [policy({ name: "shared_or_own", entity: "Item", allowRead: "data.shared || auth.userId == data.ownerId", allowWrite: "auth.userId == data.ownerId" })],
});`,
  "functions/addSlowly.ts": `import { mutation, v } from "@pylonsync/functions";
export default mutation({ args: { ms: v.int() }, handler: async (ctx, { ms }) => {
  await ctx.db.insert("Item", { n: -1, shared: true, ownerId: ctx.auth.userId });
  await new Promise((resolve) => setTimeout(resolve, ms));
} });`,
};
const CLIENTS = 50;

let postgres: PostgresServer;
let cluster: Cluster;

beforeAll(async () => {
  postgres = await PostgresServer.start();
  cluster = await Cluster.start(FILES, { DATABASE_URL: await postgres.createDatabase() });
}, 60_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await postgres.stop();
});

/** Each request is a connection of its own, so each goes to another replica. */
const request = (client: TestClient, method: string, path: string, body?: unknown) => client.request(method, path, body, { Connection: "close" });

function engineOf(client: TestClient, url = cluster.url): SyncEngine {
  const engine = createSyncEngine(url, {
    token: client.token ?? "",
    storage: createWriteThroughStorage({}, () => undefined),
    platform: { fetch: (address, init) => systemPlatform.fetch(address, { ...init, headers: { ...(init.headers as Record<string, string>), Connection: "close" } }) },
  });
  engine.start();
  return engine;
}

async function inserted(client: TestClient, n: number, shared: boolean): Promise<void> {
  const answer = await request(client, "POST", "/api/entities/Item", { n, shared });
  if (answer.status !== 201) throw new Error(`insert was answered ${answer.status}: ${answer.text}`);
}

/** Clients that write without a pause until they are stopped, each through an engine of its own. */
class Load {
  readonly engines: readonly SyncEngine[];
  readonly written = new Set<string>();
  readonly refused: string[] = [];
  #isOn = true;
  readonly #writers: Promise<void>[];

  private constructor(engines: readonly SyncEngine[], pauseMs: number) {
    this.engines = engines;
    for (const engine of engines) engine.onError(({ kind, code }) => this.refused.push(`${kind} ${code}`));
    this.#writers = engines.map(async (engine) => {
      for (let n = 0; this.#isOn; n += 1) {
        this.written.add(await engine.insert("Item", { n, shared: true }));
        await Bun.sleep(pauseMs);
      }
    });
  }

  static async start(clients: number, pauseMs: number): Promise<Load> {
    const guests = await Promise.all(Array.from({ length: clients }, () => TestClient.guest(cluster.url)));
    const engines = guests.map((guest) => engineOf(guest));
    await until(() => engines.every(({ connected }) => connected), 10_000);
    return new Load(engines, pauseMs);
  }

  /** Ends the writing, waits until everybody agrees, and answers what is in the database of what was written. */
  async end(): Promise<string[]> {
    this.#isOn = false;
    await Promise.all(this.#writers);
    await until(() => this.engines.every((engine) => engine.connected && engine.status.pending === 0), 30_000);
    const { body } = await new TestClient(cluster.url, ADMIN_TOKEN).request("GET", "/api/export/Item");
    const rows = (body["entities"] as { Item: { id: string; shared: boolean }[] }).Item;
    const truth = rows.filter(({ shared }) => shared).map(({ id }) => id).toSorted();
    const ids = (engine: SyncEngine): string[] => engine.store.list("Item").map(({ id }) => id).toSorted();
    await until(() => this.engines.every((engine) => JSON.stringify(ids(engine)) === JSON.stringify(truth)), 30_000);
    for (const engine of this.engines) engine.stop();
    return truth.filter((id) => this.written.has(id));
  }
}

test("50 clients write through any replica: each hears what it may read, once, in one order, past a transaction that stays open", async () => {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => TestClient.guest(cluster.url)));
  const sockets = await Promise.all(clients.map((client) => client.live(0).ready()));
  const [first] = clients as [TestClient];
  const slow = request(first, "POST", "/api/fn/addSlowly", { ms: 4000 });
  await Bun.sleep(300);
  for (let round = 0; round < 20; round += 1) await Promise.all(clients.map((client, index) => inserted(client, round, (round + index) % 2 === 0)));
  const heard = (socket: (typeof sockets)[number]): ChangeEvent[] => socket.events;
  const expected = 500 + 10;
  await until(() => sockets.every((socket) => heard(socket).length >= expected), 20_000);
  expect(heard(sockets[0] as never).some(({ data }) => data?.["n"] === -1)).toBe(false);
  expect((await slow).status).toBe(200);
  await until(() => sockets.every((socket) => heard(socket).length >= expected + 1), 10_000);

  const sharedOrder = (events: readonly ChangeEvent[]): string[] => events.filter(({ data }) => data?.["shared"] === true).map(({ row_id }) => row_id);
  const reference = sharedOrder(heard(sockets[0] as never));
  expect(new Set(reference).size).toBe(501);
  for (const [index, socket] of sockets.entries()) {
    const events = heard(socket);
    const seqs = events.map(({ seq }) => seq);
    expect(seqs).toEqual([...new Set(seqs)].toSorted((a, b) => a - b));
    expect(events).toHaveLength(expected + 1);
    expect(sharedOrder(events)).toEqual(reference);
    const strangers = events.filter(({ data }) => data?.["shared"] === false && data["ownerId"] !== clients[index]?.userId);
    expect(strangers).toEqual([]);
    socket.close();
  }
}, 90_000);

test("a session made on one replica, used on another and ended on a third closes its socket within a second", async () => {
  const [a, b, c] = cluster.replicas;
  const guest = await TestClient.guest(a?.url ?? "");
  const onB = new TestClient(b?.url ?? "", guest.token);
  const socket = await onB.live(0).ready();
  expect((await onB.request("GET", "/api/auth/me")).body["user_id"]).toBe(guest.userId);
  expect((await new TestClient(c?.url ?? "", guest.token).request("DELETE", "/api/auth/session")).status).toBe(200);
  await until(() => socket.closed !== null, 1000);
  expect(socket.closed?.code).toBe(CloseCode.SESSION_ENDED);
  await until(async () => (await onB.request("GET", "/api/auth/me")).status === 401, 1000);
});

describe("under load", () => {
  test("kill -9 of a replica: no acknowledged write is lost, none is applied twice, clients go on elsewhere within 2 s", async () => {
    const load = await Load.start(20, 20);
    await Bun.sleep(1500);
    await cluster.replicas[0]?.stop("SIGKILL");
    const killed = performance.now();
    await until(() => load.engines.every(({ connected }) => connected), 5000);
    expect(performance.now() - killed).toBeLessThan(2000);
    await Bun.sleep(500);
    const stored = await load.end();
    expect(stored).toEqual([...load.written].toSorted());
    expect(load.refused).toEqual([]);
    await cluster.replicas[0]?.start();
  }, 90_000);

  test("a rolling restart of all replicas: nothing fails for good, nothing is missing", async () => {
    const load = await Load.start(20, 20);
    for (const replica of cluster.replicas) {
      await Bun.sleep(500);
      await replica.stop("SIGTERM");
      await replica.start();
    }
    const stored = await load.end();
    expect(stored).toEqual([...load.written].toSorted());
    expect(load.refused).toEqual([]);
  }, 90_000);

  test("Postgres restarted: errors say so and can be tried again, nothing is lost or doubled", async () => {
    const load = await Load.start(10, 50);
    const onlooker = await TestClient.guest(cluster.url);
    await Bun.sleep(1000);
    await postgres.down();
    const answer = await request(onlooker, "POST", "/api/entities/Item", { n: 1, shared: false });
    expect(answer.status).toBe(503);
    expect(answer.body["error"]).toMatchObject({ code: "OVERLOADED", retry_after_secs: 1 });
    expect((await request(onlooker, "GET", "/readyz")).status).toBe(503);
    await postgres.up();
    await until(async () => (await request(onlooker, "POST", "/api/entities/Item", { n: 2, shared: false })).status === 201, 10_000);
    const stored = await load.end();
    expect(stored).toEqual([...load.written].toSorted());
    expect(load.refused).toEqual([]);
  }, 120_000);
});
