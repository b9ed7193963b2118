import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { CloseCode, type ChangeEvent } from "@pylonsync/protocol";
import {
  createSyncEngine,
  createWriteThroughStorage,
  systemPlatform,
  type SyncEngine,
} from "@pylonsync/sync";
import { TestClient, until } from "../support/client.ts";
import { Cluster, type Replica } from "../support/cluster.ts";
import { QuerySocket } from "../support/query-socket.ts";
import { ADMIN_TOKEN } from "../support/server.ts";
import { PostgresServer, WITHOUT_FLUSHING } from "../support/servers/postgres.ts";
import { RedisServer } from "../support/servers/redis.ts";
import { S3Server } from "../support/servers/s3.ts";

const FILES = {
  "app.ts": `import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
export default buildManifest({
  name: "replicas", version: "1.0.0",
  entities: [entity("Item", { n: field.int(), shared: field.bool(),
    ownerId: field.string().owner() })],
  policies: [policy({ name: "shared_or_own", entity: "Item",
    allowRead: "data.shared || auth.userId == data.ownerId",
    allowWrite: "auth.userId == data.ownerId" })],
});`,
  "functions/highest.ts": `import { query, v } from "@pylonsync/functions";
export default query({ args: { above: v.int() }, handler: async (ctx, { above }) => {
  const filter = { n: { $gt: above }, $order: { n: "desc" }, $limit: 1 };
  const [row] = await ctx.db.query("Item", filter);
  return row?.n ?? null;
} });`,
  "functions/addSlowly.ts": `import { existsSync, writeFileSync } from "node:fs";
import { mutation, v } from "@pylonsync/functions";
export default mutation({ args: { until: v.string() }, handler: async (ctx, { until }) => {
  const id = await ctx.db.insert("Item", { n: -1, shared: true, ownerId: ctx.auth.userId });
  writeFileSync(until + ".begun", "");
  // The database ends a transaction that does nothing.
  while (!existsSync(until)) {
    await ctx.db.get("Item", id);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
} });`,
};
const CLIENTS = 50;

let postgres: PostgresServer;
let redis: RedisServer;
let s3: S3Server;
let cluster: Cluster;

beforeAll(async () => {
  [postgres, redis, s3] = await Promise.all([
    PostgresServer.start(WITHOUT_FLUSHING),
    RedisServer.start(),
    S3Server.start(),
  ]);
  cluster = await Cluster.start(FILES, {
    DATABASE_URL: await postgres.createDatabase(),
    REDIS_URL: redis.url,
    ...s3.env,
  });
}, 60_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await Promise.all([postgres.stop(), redis.stop(), s3.stop()]);
});

/** One of the replicas, addressed directly instead of through the proxy. */
function replica(index: number): Replica {
  const found = cluster.replicas[index];
  if (found === undefined) throw new Error(`There is no replica ${index}.`);
  return found;
}

/** The same user on another replica. */
function on(index: number, client: TestClient): TestClient {
  return new TestClient(replica(index).url, client.token, client.userId);
}

async function usersIn(index: number, room: string): Promise<string[]> {
  const { body } = await new TestClient(replica(index).url, ADMIN_TOKEN).request(
    "GET",
    `/api/rooms/${room}`,
  );
  return ((body["members"] ?? []) as { readonly user_id: string }[])
    .map(({ user_id: id }) => id)
    .toSorted();
}

/** Each request uses a new connection, so each goes to another replica. */
const request = (client: TestClient, method: string, path: string, body?: unknown) =>
  client.request(method, path, body, { Connection: "close" });

function engineOf(client: TestClient, url = cluster.url): SyncEngine {
  const engine = createSyncEngine(url, {
    token: client.token ?? "",
    storage: createWriteThroughStorage({}, () => undefined),
    platform: {
      fetch: (address, init) =>
        systemPlatform.fetch(address, {
          ...init,
          headers: { ...(init.headers as Record<string, string>), Connection: "close" },
        }),
    },
  });
  engine.start();
  return engine;
}

async function inserted(client: TestClient, n: number, shared: boolean): Promise<void> {
  const answer = await request(client, "POST", "/api/entities/Item", { n, shared });
  if (answer.status !== 201)
    throw new Error(`insert was answered ${answer.status}: ${answer.text}`);
}

/** Clients that write continuously until they are stopped, each with its own engine. */
class Load implements AsyncDisposable {
  readonly engines: readonly SyncEngine[];
  readonly members: readonly TestClient[];
  readonly written = new Set<string>();
  readonly refused: string[] = [];
  readonly #over = new AbortController();
  readonly #writers: Promise<void>[];

  private constructor(
    members: readonly TestClient[],
    engines: readonly SyncEngine[],
    pauseMs: number,
  ) {
    this.members = members;
    this.engines = engines;
    for (const engine of engines)
      engine.onError(({ kind, code }) => this.refused.push(`${kind} ${code}`));
    this.#writers = engines.map(async (engine) => {
      for (let n = 0; !this.#over.signal.aborted; n += 1) {
        this.written.add(await engine.insert("Item", { n, shared: true }));
        await Bun.sleep(pauseMs);
      }
    });
  }

  static async start(clients: number, pauseMs: number): Promise<Load> {
    const guests = await Promise.all(
      Array.from({ length: clients }, () => TestClient.guest(cluster.url)),
    );
    const engines = guests.map((guest) => engineOf(guest));
    await until(() => engines.every(({ connected }) => connected), 10_000);
    return new Load(guests, engines, pauseMs);
  }

  /** Waits until this many more rows have been written. */
  async more(rows: number): Promise<void> {
    const goal = this.written.size + rows;
    await until(() => this.written.size >= goal, 30_000);
  }

  /**
   * Stops writing, waits until all clients have the same rows, and returns the written rows that
   * are in the database.
   */
  async end(): Promise<string[]> {
    this.#over.abort();
    await Promise.all(this.#writers);
    await until(
      () => this.engines.every((engine) => engine.connected && engine.status.pending === 0),
      30_000,
    );
    const { body } = await new TestClient(cluster.url, ADMIN_TOKEN).request(
      "GET",
      "/api/export/Item",
    );
    const rows = (body["entities"] as { Item: { id: string; shared: boolean }[] }).Item;
    const truth = rows
      .filter(({ shared }) => shared)
      .map(({ id }) => id)
      .toSorted();
    const ids = (engine: SyncEngine): string[] =>
      engine.store
        .list("Item")
        .map(({ id }) => id)
        .toSorted();
    await until(
      () => this.engines.every((engine) => JSON.stringify(ids(engine)) === JSON.stringify(truth)),
      30_000,
    );
    return truth.filter((id) => this.written.has(id));
  }

  /** Also runs after a failed test, so that the next one does not run at the same time. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await Promise.allSettled(this.#writers);
    for (const engine of this.engines) engine.stop();
  }
}

test("50 clients write through any replica: each gets its changes once, in order", async () => {
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, () => TestClient.guest(cluster.url)),
  );
  const sockets = await Promise.all(clients.map((client) => client.live(0).ready()));
  const [first] = clients as [TestClient];
  const release = join(mkdtempSync(join(tmpdir(), "pylon-release-")), "now");
  const slow = request(first, "POST", "/api/fn/addSlowly", { until: release });
  await until(() => existsSync(`${release}.begun`));
  for (let round = 0; round < 20; round += 1)
    await Promise.all(
      clients.map((client, index) => inserted(client, round, (round + index) % 2 === 0)),
    );
  const heard = (socket: (typeof sockets)[number]): ChangeEvent[] => socket.events;
  const expected = 500 + 10;
  await until(() => sockets.every((socket) => heard(socket).length >= expected), 20_000);
  expect(heard(sockets[0] as never).some(({ data }) => data?.["n"] === -1)).toBe(false);
  writeFileSync(release, "");
  expect((await slow).status).toBe(200);
  rmSync(dirname(release), { recursive: true });
  await until(() => sockets.every((socket) => heard(socket).length >= expected + 1), 10_000);

  const sharedOrder = (events: readonly ChangeEvent[]): string[] =>
    events.filter(({ data }) => data?.["shared"] === true).map(({ row_id }) => row_id);
  const reference = sharedOrder(heard(sockets[0] as never));
  expect(new Set(reference).size).toBe(501);
  for (const [index, socket] of sockets.entries()) {
    const events = heard(socket);
    const seqs = events.map(({ seq }) => seq);
    expect(seqs).toEqual([...new Set(seqs)].toSorted((a, b) => a - b));
    expect(events).toHaveLength(expected + 1);
    expect(sharedOrder(events)).toEqual(reference);
    const strangers = events.filter(
      ({ data }) => data?.["shared"] === false && data["ownerId"] !== clients[index]?.userId,
    );
    expect(strangers).toEqual([]);
    socket.close();
  }
}, 90_000);

test("a session of two replicas, ended on a third, closes its socket in a second", async () => {
  const guest = await TestClient.guest(replica(0).url);
  const onB = on(1, guest);
  const socket = await onB.live(0).ready();
  expect((await onB.request("GET", "/api/auth/me")).body["user_id"]).toBe(guest.userId);
  expect((await on(2, guest).request("DELETE", "/api/auth/session")).status).toBe(200);
  await until(() => socket.closed !== null, 1000);
  expect(socket.closed?.code).toBe(CloseCode.SESSION_ENDED);
  await until(async () => (await onB.request("GET", "/api/auth/session")).status === 401, 1000);
});

test("a live function on one replica is updated by commits on the others", async () => {
  const guest = await TestClient.guest(cluster.url);
  const sockets = await Promise.all([0, 1, 2].map((index) => QuerySocket.open(on(index, guest))));
  const ids = sockets.map((socket) => socket.call("highest", { above: 1_000_000 }));
  const all = async (expected: unknown): Promise<void> =>
    until(() =>
      sockets.every((socket, index) => socket.outcomes(ids[index] ?? 0).at(-1) === expected),
    );
  await all(null);
  for (let index = 0; index < 3; index += 1) {
    const n = 1_000_001 + index;
    await on(index, guest).insert("Item", { n, shared: false });
    await all(n);
  }
  for (const socket of sockets) socket.socket.close();
});

test("a room on one replica is visible on another, and is empty after a kill", async () => {
  const [ann, ben] = await Promise.all([
    TestClient.guest(replica(0).url),
    TestClient.guest(replica(0).url),
  ]);
  const socket = await on(0, ann).live(0).ready();
  expect((await on(0, ann).request("POST", "/api/rooms/join", { room: "lobby" })).status).toBe(200);
  expect((await on(0, ben).request("POST", "/api/rooms/join", { room: "lobby" })).status).toBe(200);
  await until(async () => (await usersIn(1, "lobby")).length === 2, 2000);
  await replica(0).stop("SIGKILL");
  await until(async () => (await usersIn(1, "lobby")).length === 0, 15_000);
  expect(await usersIn(2, "lobby")).toEqual([]);
  socket.close();
  await replica(0).start();
}, 60_000);

test("all replicas count the requests of one address together", async () => {
  await using strict = await Cluster.start(FILES, {
    DATABASE_URL: await postgres.createDatabase(),
    REDIS_URL: redis.url,
    PYLON_RATE_LIMIT_MAX: "30",
    PYLON_RATE_LIMIT_WINDOW: "60",
  });
  const anyone = new TestClient(strict.url, null);
  const statuses = await Promise.all(
    Array.from({ length: 45 }, () =>
      request(anyone, "GET", "/api/auth/me").then(({ status }) => status),
    ),
  );
  expect(statuses.filter((status) => status === 200)).toHaveLength(30);
  expect(statuses.filter((status) => status === 429)).toHaveLength(15);
}, 60_000);

test("replicas share files; while S3 fails, only file requests fail", async () => {
  const guest = await TestClient.guest(cluster.url);
  const upload = (content: string) => request(guest, "POST", "/api/files/upload", content);
  const before = await upload("kept");
  expect(before.status).toBe(201);
  const path = String(before.body["url"]);
  for (const index of [0, 1, 2])
    expect((await on(index, guest).request("GET", path)).text).toBe("kept");
  await s3.down();
  const end = performance.now() + 10_000;
  while (performance.now() < end) {
    const [sent, read, written] = await Promise.all([
      upload("refused"),
      request(guest, "GET", path),
      request(guest, "POST", "/api/entities/Item", { n: 0, shared: false }),
    ]);
    for (const { status, body } of [sent, read]) {
      expect(status).toBe(503);
      expect(body["error"]).toMatchObject({ code: "STORAGE_UNAVAILABLE", retry_after_secs: 5 });
    }
    expect(written.status).toBe(201);
    await Bun.sleep(200);
  }
  await s3.up();
  expect((await request(guest, "GET", path)).text).toBe("kept");
  expect((await upload("taken again")).status).toBe(201);
}, 60_000);

describe("under load", () => {
  test("kill -9 of a replica: no write is lost or applied twice, clients continue", async () => {
    await using load = await Load.start(20, 20);
    await load.more(400);
    await replica(0).stop("SIGKILL");
    try {
      await until(() => load.engines.every(({ connected }) => connected), 5000);
      await load.more(100);
      const stored = await load.end();
      expect(stored).toEqual([...load.written].toSorted());
      expect(load.refused).toEqual([]);
    } finally {
      await replica(0).start();
    }
  }, 90_000);

  test("a rolling restart of all replicas: nothing is lost, members stay in rooms", async () => {
    await using load = await Load.start(20, 20);
    const [member] = load.members as [TestClient];
    expect((await request(member, "POST", "/api/rooms/join", { room: "standing" })).status).toBe(
      200,
    );
    const gone: string[][] = [];
    for (const [index, each] of cluster.replicas.entries()) {
      await load.more(100);
      await each.stop("SIGTERM");
      for (const other of [0, 1, 2])
        if (other !== index && (await usersIn(other, "standing")).length !== 1)
          gone.push([String(index), String(other)]);
      await each.start();
    }
    expect(gone).toEqual([]);
    const stored = await load.end();
    expect(stored).toEqual([...load.written].toSorted());
    expect(load.refused).toEqual([]);
  }, 90_000);

  test("Redis restarts: nothing fails, and rooms and limits are shared afterwards", async () => {
    await using load = await Load.start(10, 50);
    await load.more(50);
    await redis.kill();
    const guest = await TestClient.guest(cluster.url);
    for (let n = 0; n < 10; n += 1)
      expect(
        (await request(guest, "POST", "/api/entities/Item", { n, shared: false })).status,
      ).toBe(201);
    expect((await on(1, guest).request("POST", "/api/rooms/join", { room: "island" })).status).toBe(
      200,
    );
    expect(await usersIn(1, "island")).toEqual([guest.userId]);
    await redis.start();
    await until(async () => (await usersIn(2, "island")).length === 1, 10_000);
    const stored = await load.end();
    expect(stored).toEqual([...load.written].toSorted());
    expect(load.refused).toEqual([]);
  }, 90_000);

  test("Postgres restarts: errors can be retried, nothing is lost or doubled", async () => {
    await using load = await Load.start(10, 50);
    const onlooker = await TestClient.guest(cluster.url);
    await load.more(100);
    await postgres.down();
    const answer = await request(onlooker, "POST", "/api/entities/Item", { n: 1, shared: false });
    expect(answer.status).toBe(503);
    expect(answer.body["error"]).toMatchObject({ code: "OVERLOADED", retry_after_secs: 1 });
    expect((await request(onlooker, "GET", "/readyz")).status).toBe(503);
    await postgres.up();
    await until(
      async () =>
        (await request(onlooker, "POST", "/api/entities/Item", { n: 2, shared: false })).status ===
        201,
      10_000,
    );
    const stored = await load.end();
    expect(stored).toEqual([...load.written].toSorted());
    expect(load.refused).toEqual([]);
  }, 120_000);
});
