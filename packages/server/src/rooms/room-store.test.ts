import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { Client } from "pg";
import { until } from "../../../../tests/support/client.ts";
import { createDatabase, sharedPostgresUrl } from "../../../../tests/support/servers/postgres.ts";
import { RedisServer } from "../../../../tests/support/servers/redis.ts";
import { Redis } from "../cache/redis.ts";
import { Log } from "../observe/log.ts";
import { systemPlatform } from "../platform.ts";
import { openPostgresStore } from "../store/postgres/postgres-store.ts";
import { disconnectMessage } from "./messages.ts";
import { MemoryRoomStore } from "./memory/memory-room-store.ts";
import { ROOM_DDL } from "./postgres/functions.ts";
import { PostgresRooms } from "./postgres/postgres-rooms.ts";
import type { RoomBackend } from "./shared/room-backend.ts";
import { RedisRooms } from "./redis/redis-rooms.ts";
import {
  MAX_ROOMS,
  type RoomMessage,
  type RoomStore,
  type RoomTimes,
  type TenantMessage,
} from "./room-store.ts";
import { SharedRoomStore } from "./shared/shared-room-store.ts";

// Tests the contract of every store of rooms, with times short enough for a test to wait for.

const TIMES: RoomTimes = {
  idleMs: 1500,
  graceMs: 300,
  handOverMs: 3000,
  leaseMs: 7000,
  sweepMs: 100,
};
const log = new Log({ level: "error", format: "text", now: Date.now, write: () => undefined });

interface Opened {
  readonly store: RoomStore;
  /** Such as `join r u`. */
  readonly told: string[];
}

let server: RedisServer;
let databaseUrl: string;
let closers: (() => Promise<void>)[] = [];
beforeAll(async () => {
  [server, databaseUrl] = await Promise.all([
    RedisServer.start(),
    createDatabase(sharedPostgresUrl()),
  ]);
});
afterEach(async () => {
  for (const close of closers) await close();
  closers = [];
});
afterAll(() => server.stop());

/** @param prepare receives the backend before anything else uses it */
async function open(
  kind: string,
  times = TIMES,
  prepare: (backend: RoomBackend) => void = () => undefined,
): Promise<Opened> {
  const told: string[] = [];
  const deliver = (message: RoomMessage | TenantMessage): void => {
    told.push(
      message.kind === "tenant"
        ? `tenant ${String(message.tenantId)}`
        : `${message.kind} ${message.room} ${message.userId}`,
    );
  };
  if (kind === "memory") {
    const store = new MemoryRoomStore({ deliver, times, platform: systemPlatform });
    await store.start();
    closers.push(() => store.stop());
    return { store, told };
  }
  if (kind === "postgres") {
    const database = await openPostgresStore({
      url: databaseUrl,
      poolMax: 2,
      ca: null,
      startTimeoutMs: 0,
      onState: () => undefined,
      extraDdl: ROOM_DDL,
    });
    const backend = new PostgresRooms(database.link, times, crypto.randomUUID(), log);
    prepare(backend);
    const store = new SharedRoomStore({ backend, deliver, times, platform: systemPlatform, log });
    await database.link.start(5000);
    expect(database.link.isUp).toBe(true);
    await store.start();
    closers.push(async () => {
      await store.stop();
      await database.close();
    });
    return { store, told };
  }
  const redis = new Redis(server.url, log);
  const backend = new RedisRooms(redis, times, crypto.randomUUID());
  prepare(backend);
  const store = new SharedRoomStore({ backend, deliver, times, platform: systemPlatform, log });
  await redis.start(1000);
  await store.start();
  closers.push(async () => {
    await store.stop();
    redis.close();
  });
  return { store, told };
}

const will = (userId: string): TenantMessage => disconnectMessage("t1", userId, 1);
async function isIn(store: RoomStore, room: string, userId: string): Promise<boolean> {
  return ((await store.members(room, null)) ?? []).some(({ user_id: id }) => id === userId);
}

let names = 0;
function newName(): string {
  return `n${(names += 1)}`;
}

/** Waits until a member who joins now and makes no further calls has expired. */
async function idleTimeIsOver({ store, told }: Opened): Promise<void> {
  const [room, silent] = [newName(), newName()];
  await store.join(room, silent, null);
  await until(() => told.includes(`leave ${room} ${silent}`));
}

describe.each(["memory", "redis", "postgres"])("a store of rooms in %s", (kind) => {
  test("data is returned unchanged", async () => {
    const { store } = await open(kind);
    const room = newName();
    for (const data of [
      [],
      {},
      { list: [], none: null, deep: [{ a: [] }] },
      'text\nwith "quotes"',
      0,
      false,
      1e21,
      "🦊",
    ]) {
      await store.join(room, "u", data);
      expect((await store.members(room, null))?.[0]?.data).toEqual(data);
      await store.setPresence(room, "u", [data]);
      expect((await store.members(room, null))?.[0]?.data).toEqual([data]);
    }
  });

  test("a member without a connection stays for its idle time; a call restarts it", async () => {
    const { store, told } = await open(kind);
    const room = newName();
    await store.join(room, "caller", null);
    await store.join(room, "silent", null);
    await until(async () => {
      expect(await store.members(room, "caller")).not.toBeNull();
      return told.includes(`leave ${room} silent`);
    });
    expect(await isIn(store, room, "silent")).toBe(false);
    expect(told.filter((line) => line.startsWith(`leave ${room} `))).toEqual([
      `leave ${room} silent`,
    ]);
    await until(async () => !(await isIn(store, room, "caller")));
  });

  test("a connected member needs no calls; its grace ends unless it calls", async () => {
    const { store, told } = await open(kind, { ...TIMES, idleMs: 2500 });
    const [left, called] = [newName(), newName()];
    const user = newName();
    await store.connected(user, will(user));
    await store.join(left, user, null);
    await store.join(called, user, null);
    await idleTimeIsOver({ store, told });
    expect(await isIn(store, left, user)).toBe(true);
    await store.disconnected(user, will(user));
    await until(() => told.includes("tenant t1"));
    await store.members(called, user);
    await until(async () => !(await isIn(store, left, user)));
    expect(await isIn(store, called, user)).toBe(true);
    await until(async () => !(await isIn(store, called, user)));
    // A caller may see that a member is gone before the message about it has arrived from Redis.
    await until(() => told.includes(`leave ${called} ${user}`));
    expect(told.filter((line) => line.startsWith("leave") && line.endsWith(` ${user}`))).toEqual([
      `leave ${left} ${user}`,
      `leave ${called} ${user}`,
    ]);
  });

  test("a user who joined before connecting receives the messages of the room, too", async () => {
    const { store, told } = await open(kind);
    const [room, user] = [newName(), newName()];
    await store.join(room, user, null);
    expect([...store.localMembers(room)]).toEqual([]);
    await store.connected(user, will(user));
    expect([...store.localMembers(room)]).toEqual([user]);
    await idleTimeIsOver({ store, told });
    expect(await isIn(store, room, user)).toBe(true);
    await store.leave(room, user);
    await until(() => [...store.localMembers(room)].length === 0);
  });

  test("concurrent joins of one user make one member", async () => {
    const { store, told } = await open(kind);
    const room = newName();
    await Promise.all(Array.from({ length: 50 }, () => store.join(room, "u", null)));
    expect(await store.members(room, null)).toHaveLength(1);
    await store.leave(room, "u");
    await until(() => told.includes(`leave ${room} u`));
    expect(await store.members(room, null)).toEqual([]);
    expect(await store.rooms("u")).toEqual([]);
  });

  test("there are at most 10,000 rooms", async () => {
    const { store } = await open(kind, { ...TIMES, idleMs: 60_000, sweepMs: 1_000 });
    // The members of other tests expire.
    await until(async () => (await store.rooms(null)).length === 0);
    const mine = Array.from({ length: MAX_ROOMS }, (_, n) => ({
      room: `full-${n}`,
      userId: `full-${n % 200}`,
    }));
    for (let at = 0; at < mine.length; at += 500)
      await Promise.all(
        mine.slice(at, at + 500).map(({ room, userId }) => store.join(room, userId, null)),
      );
    const refused = await store.join("one-more", "u", null).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "ROOM_LIMIT_REACHED", status: 429, field: "room" });
    expect(await store.join("full-1", "u", null)).toHaveLength(1);
    for (let at = 0; at < mine.length; at += 500)
      await Promise.all(
        mine.slice(at, at + 500).map(({ room, userId }) => store.leave(room, userId)),
      );
    await store.leave("full-1", "u");
    expect(await store.rooms(null)).toEqual([]);
  }, 60_000);
});

/** Simulates a crash of the backend: all of its data and all connections are lost. */
async function empty(kind: string): Promise<void> {
  if (kind === "redis") {
    await server.kill();
    await server.start();
    return;
  }
  const sql = new Client({ connectionString: databaseUrl });
  await sql.connect();
  const { rows } = await sql.query<{ name: string }>(
    `SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' AND relpersistence = 'u'`,
  );
  await sql.query(`TRUNCATE ${rows.map(({ name }) => name).join(", ")}`);
  await sql.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()`,
  );
  await sql.end();
}

test.each(["redis", "postgres"])(
  "results survive a loss of %s before the messages about them have arrived",
  async (kind) => {
    let isStill = false;
    const other = await open(kind);
    const { store, told } = await open(kind, { ...TIMES, idleMs: 60_000 }, (backend) => {
      const onMessage = backend.onMessage.bind(backend);
      backend.onMessage = (listener) => {
        onMessage((message) => {
          if (!isStill) listener(message);
        });
      };
    });
    const room = newName();
    await store.join(room, "leaver", null);
    await store.join(room, "mover", 1);
    await until(() => told.length === 2);
    isStill = true;
    await store.join(room, "joiner", { a: 1 });
    await store.setPresence(room, "mover", 2);
    expect(await store.leave(room, "leaver")).toBe(true);
    expect(told).toHaveLength(2);
    await empty(kind);
    isStill = false;
    // The other one knows only what the empty backend was sent.
    const seen = async (): Promise<unknown> =>
      Object.fromEntries(
        ((await other.store.members(room, null)) ?? []).map((peer) => [peer.user_id, peer.data]),
      );
    await until(async () => Bun.deepEquals(await seen(), { joiner: { a: 1 }, mover: 2 }));
  },
);

test.each(["redis", "postgres"])(
  "while the messages from %s are late, a former member still receives earlier ones",
  async (kind) => {
    const late: (() => void)[] = [];
    let isLate = false;
    const { store, told } = await open(kind, TIMES, (backend) => {
      const onMessage = backend.onMessage.bind(backend);
      backend.onMessage = (listener) => {
        onMessage((message) => {
          if (isLate) late.push(() => listener(message));
          else listener(message);
        });
      };
    });
    const [room, user] = [newName(), newName()];
    await store.connected(user, will(user));
    await store.join(room, user, null);
    await until(() => told.includes(`join ${room} ${user}`));
    isLate = true;
    expect(await store.broadcast(room, user, "{}")).toBe("sent");
    expect(await store.leave(room, user)).toBe(true);
    await until(() => late.length === 2);
    expect([...store.localMembers(room)]).toEqual([user]);
    for (const tell of late) tell();
    expect([...store.localMembers(room)]).toEqual([]);
  },
);

test("what happened before Redis was available for the first time is sent afterwards", async () => {
  const late = await RedisServer.start({ isUp: false });
  const opened = async (): Promise<RoomStore> => {
    const redis = new Redis(late.url, log);
    const store = new SharedRoomStore({
      backend: new RedisRooms(redis, TIMES, crypto.randomUUID()),
      deliver: () => undefined,
      times: TIMES,
      platform: systemPlatform,
      log,
    });
    await redis.start(50);
    await store.start();
    closers.push(async () => {
      await store.stop();
      redis.close();
    });
    return store;
  };
  const [one, other] = [await opened(), await opened()];
  for (const userId of ["stays", "leaves", "closes"]) {
    await one.connected(userId, will(userId));
    await one.join("r", userId, null);
  }
  await one.leave("r", "leaves");
  await one.disconnected("closes", will("closes"));
  await late.start();
  await until(() => isIn(other, "r", "stays"));
  await until(async () => !(await isIn(other, "r", "closes")));
  expect(await other.members("r", null)).toMatchObject([{ user_id: "stays" }]);
  closers.push(() => late.stop());
});

test("after an orderly stop nothing in Redis depends on the replica", async () => {
  const { store } = await open("redis");
  const user = newName();
  await store.connected(user, will(user));
  await store.join(newName(), user, null);
  await store.join(newName(), newName(), null);
  await store.stop();
  const redis = new Redis(server.url, log);
  await redis.start(1000);
  const keys = (await redis.run((commands) =>
    commands.eval("return redis.call('KEYS', 'pylon:rooms:*')"),
  )) as string[];
  redis.close();
  expect(keys.filter((key) => /:(users|calls|conn):/.test(key))).toEqual([]);
});
