import { afterAll, beforeAll, expect, test } from "bun:test";
import { array, assert, asyncProperty, constantFrom, jsonValue, oneof, record } from "fast-check";
import { until } from "../../../../tests/support/client.ts";
import { createDatabase, sharedPostgresUrl } from "../../../../tests/support/servers/postgres.ts";
import { RedisServer } from "../../../../tests/support/servers/redis.ts";
import { Redis } from "../cache/redis.ts";
import { Log } from "../observe/log.ts";
import { systemPlatform } from "../platform.ts";
import { openPostgresStore, type PostgresStore } from "../store/postgres/postgres-store.ts";
import { MemoryRoomStore } from "./memory/memory-room-store.ts";
import { disconnectMessage } from "./messages.ts";
import { ROOM_DDL } from "./postgres/functions.ts";
import { PostgresRooms } from "./postgres/postgres-rooms.ts";
import { RedisRooms } from "./redis/redis-rooms.ts";
import type { Deliver, Peer, RoomStore, RoomTimes } from "./room-store.ts";
import type { RoomBackend } from "./shared/room-backend.ts";
import { SharedRoomStore } from "./shared/shared-room-store.ts";

// The rooms are one algorithm in three languages: TypeScript, Lua and PL/pgSQL. For any calls, all
// three return the same results, and send the same messages in the same order.

/** Long enough that nothing expires while the test runs. */
const TIMES: RoomTimes = {
  idleMs: 6e5,
  graceMs: 6e5,
  handOverMs: 6e5,
  leaseMs: 6e4,
  sweepMs: 1_000,
};
const log = new Log({ level: "error", format: "text", now: Date.now, write: () => undefined });

interface Opened {
  readonly kind: "typescript" | "lua" | "plpgsql";
  readonly store: RoomStore;
  /** The texts that were delivered. */
  readonly told: string[];
}

let server: RedisServer;
let redis: Redis;
let database: PostgresStore;
let stores: readonly Opened[] = [];

beforeAll(async () => {
  const [started, url] = await Promise.all([
    RedisServer.start(),
    createDatabase(sharedPostgresUrl()),
  ]);
  server = started;
  redis = new Redis(server.url, log);
  database = await openPostgresStore({
    url,
    poolMax: 2,
    ca: null,
    startTimeoutMs: 0,
    onState: () => undefined,
    extraDdl: ROOM_DDL,
  });
  const shared = (backend: RoomBackend, deliver: Deliver): RoomStore =>
    new SharedRoomStore({ backend, deliver, times: TIMES, platform: systemPlatform, log });
  // A store receives the messages of a channel from its next connect on, so the stores are opened
  // first.
  stores = [
    opened("typescript", (deliver) => {
      return new MemoryRoomStore({ deliver, times: TIMES, platform: systemPlatform });
    }),
    opened("lua", (deliver) => shared(new RedisRooms(redis, TIMES, "replica"), deliver)),
    opened("plpgsql", (deliver) =>
      shared(new PostgresRooms(database.link, TIMES, "replica", log), deliver),
    ),
  ];
  await Promise.all([redis.start(5000), database.link.start(5000)]);
  for (const { store } of stores) await store.start();
  expect([redis.isUp, database.link.isUp]).toEqual([true, true]);
});
afterAll(async () => {
  await Promise.all(stores.map(({ store }) => store.stop()));
  redis.close();
  await Promise.all([database.close(), server.stop()]);
});

function opened(kind: Opened["kind"], create: (deliver: Deliver) => RoomStore): Opened {
  const told: string[] = [];
  return { kind, store: create(({ text }) => told.push(text)), told };
}

/** Peers without the second of their join, which comes from another clock, in a fixed order. */
function namesAndData(peers: readonly Peer[] | null): unknown {
  return (
    peers
      ?.map(({ user_id: id, data }) => ({ id, data }))
      .toSorted((a, b) => (a.id < b.id ? -1 : 1)) ?? null
  );
}

type Call = Readonly<{ call: string; room: string; user: string; data: unknown }>;

/** The result of the call, in a form that is the same for all stores. */
async function answer(store: RoomStore, { call, room, user, data }: Call): Promise<unknown> {
  const will = disconnectMessage("tenant", user, 1);
  const text = JSON.stringify({ type: "broadcast", room, data });
  switch (call) {
    case "join":
      return namesAndData(await store.join(room, user, data));
    case "leave":
      return store.leave(room, user);
    case "presence":
      return store.setPresence(room, user, data);
    case "broadcast":
      return store.broadcast(room, user, text);
    case "broadcast as admin":
      return store.broadcast(room, null, text);
    case "members":
      return namesAndData(await store.members(room, user));
    case "members as admin":
      return namesAndData((await store.members(room, null)) ?? []);
    case "rooms":
      return (await store.rooms(user)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    case "connect":
      return store.connected(user, will);
    case "disconnect":
      return store.disconnected(user, will);
    default:
      return store.send(will);
  }
}

// Names with characters that are special in one of the languages. Lone surrogates are left out:
// Redis stores UTF-8, which can't represent them.
const names = ["a", "", "a:b", `q"'\\`, "@x $1 %s", "🦊", "\u0000", "zeile\n2"];
const calls = array(
  record({
    call: constantFrom(
      ...["join", "join", "join", "leave", "presence", "broadcast", "broadcast as admin"],
      ...["members", "members as admin", "rooms", "connect", "disconnect", "send"],
    ),
    room: constantFrom(...names),
    user: constantFrom(...names),
    data: oneof(jsonValue(), constantFrom(null, "", "0 null", { a: "\\" })),
  }),
  { maxLength: 40 },
);

/**
 * Without the first connection of a user that already has one, and the end of one that it does not
 * have.
 */
function possible(all: readonly Call[]): Call[] {
  const connected = new Set<string>();
  return all.filter(({ call, user }) => {
    if (call === "connect") return !connected.has(user) && connected.add(user);
    return call !== "disconnect" || connected.delete(user);
  });
}

let runs = 0;

test("TypeScript, Lua and PL/pgSQL return the same, and send the same messages", async () => {
  await assert(
    asyncProperty(calls, async (all) => {
      // Each run has its own rooms and users.
      runs += 1;
      const own = possible(
        all.map((one) => ({ ...one, room: `${one.room}${runs}`, user: `${one.user}${runs}` })),
      );
      for (const { told } of stores) told.length = 0;
      const [expected, ...others] = await Promise.all(
        stores.map(async ({ store, kind }) => {
          const answers: unknown[] = [];
          for (const call of own) answers.push(await answer(store, call));
          return { kind, answers };
        }),
      );
      for (const other of others) expect(other.answers).toEqual(expected?.answers ?? []);
      const [first, ...rest] = stores;
      for (const { told } of rest) {
        await until(() => told.length >= (first?.told.length ?? 0));
        expect(told).toEqual(first?.told ?? []);
      }
    }),
    { numRuns: 150, endOnFailure: true },
  );
}, 60_000);
