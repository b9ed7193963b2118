import { afterEach, beforeEach, expect, test } from "bun:test";
import { createConnection, createServer, type Socket } from "node:net";
import { PylonError } from "@pylonsync/protocol";
import { Client } from "pg";
import { until } from "../../../../../tests/support/client.ts";
import { PgBouncer } from "../../../../../tests/support/servers/pgbouncer.ts";
import {
  createDatabase,
  sharedPostgresUrl,
} from "../../../../../tests/support/servers/postgres.ts";
import { Log } from "../../observe/log.ts";
import { systemPlatform, type Platform } from "../../platform.ts";
import { openPostgresStore, type PostgresStore } from "../../store/postgres/postgres-store.ts";
import { CHANNEL_QUERY } from "../../store/postgres/channel/channel-functions.ts";
import { disconnectMessage } from "../messages.ts";
import { ROOM_DDL, roomFunction } from "./functions.ts";
import { PostgresRooms } from "./postgres-rooms.ts";
import type { RoomMessage, RoomTimes, TenantMessage } from "../room-store.ts";
import { SharedRoomStore } from "../shared/shared-room-store.ts";

const TIMES: RoomTimes = {
  idleMs: 60_000,
  graceMs: 300,
  handOverMs: 3000,
  leaseMs: 7000,
  sweepMs: 100,
};

interface Opened {
  readonly store: SharedRoomStore;
  readonly database: PostgresStore;
  /** Such as `join r u`, or the text of a tenant's message. */
  readonly told: string[];
  readonly logged: string[];
}

let url: string;
let sql: Client;
let closers: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  url = await createDatabase(sharedPostgresUrl());
  sql = new Client({ connectionString: url });
  sql.on("error", () => undefined);
  await sql.connect();
});
afterEach(async () => {
  for (const close of closers) await close();
  closers = [];
  await sql.end();
});

async function open(
  times = TIMES,
  databaseUrl = url,
  waitMs = 5000,
  platform: Platform = systemPlatform,
): Promise<Opened> {
  const [told, logged]: [string[], string[]] = [[], []];
  const log = new Log({
    level: "warn",
    format: "text",
    now: Date.now,
    write: (line) => logged.push(line),
  });
  const database = await openPostgresStore({
    url: databaseUrl,
    poolMax: 2,
    ca: null,
    startTimeoutMs: 0,
    onState: () => undefined,
    extraDdl: ROOM_DDL,
    platform,
  });
  const deliver = (message: RoomMessage | TenantMessage): void => {
    told.push(
      message.kind === "tenant"
        ? message.text
        : `${message.kind} ${message.room} ${message.userId}`,
    );
  };
  const store = new SharedRoomStore({
    backend: new PostgresRooms(database.link, times, crypto.randomUUID(), log),
    deliver,
    times,
    platform,
    log,
  });
  await database.link.start(waitMs);
  await store.start();
  closers.push(async () => {
    await store.stop();
    await database.close();
  });
  return { store, database, told, logged };
}

const will = (userId: string): TenantMessage => disconnectMessage("t1", userId, 1);

async function usersIn({ store }: Opened, room: string): Promise<string[]> {
  return ((await store.members(room, null)) ?? []).map(({ user_id: id }) => id);
}

async function count(table: string): Promise<number> {
  const { rows } = await sql.query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`);
  return Number(rows[0]?.n);
}

test("without notifications rooms are per replica, and the log says so once", async () => {
  await using bouncer = await PgBouncer.start(url);
  let turns = 0;
  const { store, logged, database } = await open(TIMES, bouncer.url, 0, {
    ...systemPlatform,
    every: (ms, work) =>
      systemPlatform.every(ms, () => {
        turns += 1;
        work();
      }),
  });
  await until(() => logged.length > 0);
  expect(database.link.isUp).toBe(false);
  expect(await store.join("r", "u", null)).toEqual([]);
  expect(await store.members("r", "u")).toMatchObject([{ user_id: "u" }]);
  // The link is tried in each turn, and only the first failure is logged.
  const before = turns;
  await until(() => turns >= before + 15);
  expect(logged.filter((line) => line.includes("rooms are per replica"))).toHaveLength(1);
  for (const close of closers.splice(0)) await close();
}, 30_000);

test("an unknown message on the channel counts as missed, and the rooms continue", async () => {
  const [one, other] = [await open(), await open()];
  const { rows } = await sql.query<{ channel: string }>(CHANNEL_QUERY);
  for (const payload of ["=none of ours", "=", "#1", "#x", ""]) {
    await sql.query("SELECT pg_notify($1, $2)", [rows[0]?.channel, payload]);
    await until(async () => one.database.link.isUp && other.database.link.isUp);
    const user = `u${payload}`;
    await until(() => one.store.join("r", user, null).then(() => true));
    await until(async () => (await usersIn(other, "r")).includes(user));
  }
}, 60_000);

test("rooms do not wait for transactions that use all connections", async () => {
  const one = await open();
  const held: (() => void)[] = [];
  const transactions = [0, 1].map(() =>
    one.database.transact(async () => {
      await new Promise<void>((resolve) => held.push(resolve));
    }),
  );
  await until(() => held.length === 2);
  expect(await one.store.join("r", "u", null)).toEqual([]);
  expect(await usersIn(one, "r")).toEqual(["u"]);
  for (const release of held) release();
  await Promise.all(transactions);
});

test("a call that can't lock its room in time is rejected, and the others continue", async () => {
  const one = await open();
  await sql.query("BEGIN");
  await sql.query(
    `SELECT pg_advisory_xact_lock('"_pylon_room_members"'::regclass::oid::int4, hashtext('taken'))`,
  );
  const refused = one.store.join("taken", "u1", null).catch((error: unknown) => error);
  for (let n = 0; n < 20; n += 1) await one.store.join("free", `other-${n}`, null);
  expect(await refused).toMatchObject({ code: "OVERLOADED", status: 503 });
  await sql.query("ROLLBACK");
  expect(await one.store.join("taken", "u1", null)).toEqual([]);
  expect(await usersIn(one, "free")).toHaveLength(20);
  expect(one.logged).toEqual([]);
}, 30_000);

test("the sweep skips a locked room, and returns to it later", async () => {
  const one = await open({ ...TIMES, idleMs: 500 });
  await one.store.join("taken", "u", null);
  await one.store.join("free", "u", null);
  await one.store.join("later", "u", null);
  await sql.query("BEGIN");
  await sql.query(
    `SELECT pg_advisory_xact_lock('"_pylon_room_members"'::regclass::oid::int4, hashtext('taken'))`,
  );
  await until(() => one.told.includes("leave free u") && one.told.includes("leave later u"));
  // A member that joins after that and has expired was swept by a turn that has skipped the locked
  // room.
  await one.store.join("last", "u", null);
  await until(() => one.told.includes("leave last u"));
  expect(one.told).not.toContain("leave taken u");
  await sql.query("ROLLBACK");
  await until(() => one.told.includes("leave taken u"));
}, 30_000);

test("a replica whose connections are cut returns, and shows who is in its rooms", async () => {
  // However long they are away, their members stay.
  const times = { ...TIMES, leaseMs: 600_000 };
  const [a, b] = await Promise.all([open(times), open(times)]);
  await a.store.connected("u", will("u"));
  await a.store.join("r", "u", null);
  await b.store.connected("w", will("w"));
  await b.store.join("other", "w", null);
  for (let round = 0; round < 3; round += 1) {
    const before = { a: a.told.length, b: b.told.length };
    await sql.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'pylon rooms' AND datname = current_database()`,
    );
    await until(() => a.told.slice(before.a).includes("snapshot r "));
    // While it is away, it has its rooms in memory, and joins them later without a message.
    await until(() => b.told.slice(before.b).includes("snapshot other "));
    await b.store.join("r", `v${round}`, null);
    await until(() => a.told.includes(`join r v${round}`));
  }
  expect(await usersIn(b, "r")).toEqual(["u", "v0", "v1", "v2"]);
  expect([...a.told, ...b.told].filter((line) => line.startsWith("leave"))).toEqual([]);
}, 30_000);

test("Postgres becomes read-only: rooms are in memory, and the log says so once", async () => {
  let ticks = 0;
  const platform: Platform = {
    ...systemPlatform,
    every: (ms, run) =>
      systemPlatform.every(ms, () => {
        ticks += 1;
        run();
      }),
  };
  const [a, b] = [await open(TIMES, url, 5000, platform), await open()];
  await a.store.connected("u", will("u"));
  await a.store.join("r", "u", null);
  const database = new URL(url).pathname.slice(1);
  const cut = (): Promise<unknown> =>
    sql.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );
  await sql.query(`ALTER DATABASE "${database}" SET default_transaction_read_only = on`);
  await cut();
  await until(() => !a.database.link.isUp && !b.database.link.isUp);
  await b.store.join("r", "v", null);
  expect(await usersIn(b, "r")).toEqual(["v"]);
  // The link probes the database repeatedly.
  const before = ticks;
  await until(() => ticks > before + 30);
  expect(a.logged.filter((line) => line.includes("postgres unavailable"))).toHaveLength(1);
  await sql.query(`ALTER DATABASE "${database}" RESET default_transaction_read_only`);
  await until(async () => (await usersIn(a, "r")).length === 2);
  expect(await usersIn(b, "r")).toEqual(["u", "v"]);
}, 30_000);

test("Postgres hangs: a call waits once, then rooms are in memory until it is back", async () => {
  const other = await open();
  const sockets = new Set<Socket>();
  const proxy = createServer((near) => {
    const far = createConnection({ host: "127.0.0.1", port: Number(new URL(url).port) });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from
        .on("data", (chunk) => to.write(chunk))
        .on("error", () => to.destroy())
        .on("close", () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const through = new URL(url);
  through.port = String((proxy.address() as { readonly port: number }).port);
  const one = await open(TIMES, through.href);
  await one.store.connected("u", will("u"));
  await one.store.join("r", "u", null);
  for (const socket of sockets) socket.pause();
  for (let n = 0; n < 10; n += 1) await one.store.join(`more-${n}`, "u", null);
  expect(one.database.link.isUp).toBe(false);
  expect(await usersIn(one, "more-9")).toEqual(["u"]);
  expect(await usersIn(other, "more-9")).toEqual([]);
  for (const socket of sockets) socket.resume();
  await until(async () => (await usersIn(other, "more-9")).length === 1);
  await other.store.join("r", "v", null);
  await until(() => one.told.includes("join r v") || one.told.includes("snapshot r "));
  expect(await usersIn(one, "r")).toEqual(["u", "v"]);
  expect(other.told.filter((line) => line.startsWith("leave"))).toEqual([]);
  for (const close of closers.splice(0)) await close();
  proxy.close();
}, 60_000);

test("the first replica after an outage gives the others time, but only once", async () => {
  await open();
  const enter = async (replica: string, isReturning: boolean): Promise<void> => {
    await sql.query(`SELECT ${roomFunction("enter")}($1, 60000, 5000, $2)`, [replica, isReturning]);
  };
  await enter("b", false);
  await sql.query(
    `SELECT * FROM ${roomFunction("join")}('b', 'r', 'u', 'null', '{}', 60000, 10, 10)`,
  );
  const sleep = `UPDATE "_pylon_room_replicas" SET ends_at = now() - interval '1 second'
    WHERE id = 'b'`;
  const expired = `"_pylon_room_replicas" WHERE id = 'b' AND ends_at <= now()`;
  await sql.query("BEGIN");
  await sql.query(sleep);
  await sql.query(`UPDATE "_pylon_room_members" SET due_at = now() - interval '1 second'`);
  await enter("a", true);
  await sql.query("COMMIT");
  expect(await count(expired)).toBe(0);
  expect(await count(`"_pylon_room_members" WHERE due_at > now()`)).toBe(1);
  await sql.query("BEGIN");
  await sql.query(sleep);
  await enter("c", true);
  expect(await count(expired)).toBe(1);
  await sql.query("ROLLBACK");
});

test("replicas of two versions, each with its own functions, have the same rooms", async () => {
  const [, version = ""] = /_([0-9a-f]{8})"$/.exec(roomFunction("join")) ?? [];
  const one = await open();
  for (const statement of ROOM_DDL) await sql.query(statement.replaceAll(version, "00000000"));
  const old = (name: string): string => roomFunction(name).replace(version, "00000000");
  await sql.query(`SELECT ${old("enter")}('old', 7000, 300, false)`);
  await sql.query(`SELECT * FROM ${old("join")}('old', 'r', 'u-old', 'null', '{}', 60000, 10, 10)`);
  await until(() => one.told.includes("join r u-old"));
  expect(await one.store.join("r", "u-new", 1)).toMatchObject([{ user_id: "u-old" }]);
  const { rows } = await sql.query<{ name: string }>(
    `SELECT name FROM ${old("members")}('old', 'r', '', 60000)`,
  );
  expect(rows.map(({ name }) => name).toSorted()).toEqual(["u-new", "u-old"]);
  await sql.query(`SELECT ${old("leave")}('r', 'u-new')`);
  await until(() => one.told.includes("leave r u-new"));
  // A start of the other version leaves both in place.
  await open();
  expect((await sql.query(`SELECT * FROM ${old("keep")}('old', 7000, 10)`)).rows).toEqual([
    { is_alive: true, has_more: false },
  ]);
});

test("after an orderly stop nothing depends on the replica", async () => {
  const one = await open();
  await one.store.connected("u", will("u"));
  await one.store.join("r", "u", null);
  await one.store.join("r", "caller", null);
  await one.store.stop();
  expect(await count(`"_pylon_room_connections"`)).toBe(0);
  expect(await count(`"_pylon_room_replicas"`)).toBe(0);
  expect(await count(`"_pylon_room_members" WHERE holder IS NOT NULL`)).toBe(0);
  expect(await count(`"_pylon_room_members"`)).toBe(2);
});

/**
 * Runs two calls, the second while the first is done and not committed yet.
 *
 * @returns the result of the second
 */
async function during(first: string, second: string): Promise<Readonly<Record<string, unknown>>[]> {
  const other = new Client({ connectionString: url });
  await other.connect();
  await sql.query("BEGIN");
  await sql.query(first);
  const later = other.query<Record<string, unknown>>(second);
  let isDone = false;
  void later.finally(() => {
    isDone = true;
  });
  const waiting = `pg_locks WHERE locktype = 'advisory' AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  await until(async () => isDone || (await count(waiting)) > 0);
  await sql.query("COMMIT");
  const { rows } = await later;
  await other.end();
  return rows;
}

test("a user who connects while joining is a connected member", async () => {
  await open();
  await sql.query(`SELECT ${roomFunction("enter")}('n', 60000, 300, false)`);
  const join = `SELECT * FROM ${roomFunction("join")}('n', 'r', 'u', 'null', '{}', 60000, 10, 10)`;
  expect(
    await during(join, `SELECT name FROM ${roomFunction("connect")}('n', 'u', '["tenant",null]')`),
  ).toEqual([{ name: "r" }]);
  expect(await count(`"_pylon_room_members" WHERE due_at IS NULL AND holder IS NULL`)).toBe(1);
});

test("a replica that stops while a user connects leaves no members behind", async () => {
  await open();
  await sql.query(`SELECT ${roomFunction("enter")}('n', 60000, 300, false)`);
  await during(
    `SELECT name FROM ${roomFunction("connect")}('n', 'u', '["tenant",null]')`,
    `SELECT ${roomFunction("retire")}('n', 3000, 10)`,
  );
  expect(await count(`"_pylon_room_connections"`)).toBe(0);
  expect(await count(`"_pylon_room_replicas" WHERE id = 'n'`)).toBe(0);
});

test("the tables are unlogged, and long messages are deleted", async () => {
  const one = await open();
  const { rows } = await sql.query<{ relname: string; relpersistence: string }>(
    `SELECT relname, relpersistence FROM pg_class WHERE relkind = 'r'
     AND (relname LIKE '\\_pylon\\_room%' OR relname = '_pylon_messages')`,
  );
  expect(rows.map(({ relname }) => relname).toSorted()).toEqual([
    "_pylon_messages",
    "_pylon_room_connections",
    "_pylon_room_leavers",
    "_pylon_room_members",
    "_pylon_room_replicas",
    "_pylon_rooms",
  ]);
  expect(new Set(rows.map(({ relpersistence }) => relpersistence))).toEqual(new Set(["u"]));
  const long: TenantMessage = { ...will("u"), text: "x".repeat(10_000) };
  await one.store.send(long);
  await until(() => one.told.includes(long.text));
  expect(await count(`"_pylon_messages"`)).toBe(1);
  await sql.query(`UPDATE "_pylon_messages" SET at = at - interval '61 seconds'`);
  await until(async () => (await count(`"_pylon_messages"`)) === 0);
});

/** Makes the call; one that waited too long for its room is rejected, and may be repeated. */
async function again(call: () => Promise<unknown>): Promise<void> {
  while ((await call().catch((error: unknown) => error)) instanceof PylonError);
}

/**
 * Performs a user's actions in random order. @param random returns an integer below the given one
 */
async function actAtRandom(
  userId: string,
  { store }: Opened,
  random: (below: number) => number,
): Promise<void> {
  for (let turn = 0; turn < 25; turn += 1) {
    const room = `r${random(4)}`;
    switch (random(6)) {
      case 0:
        await again(() => store.connected(userId, will(userId)));
        break;
      case 1:
        await again(() => store.disconnected(userId, will(userId)));
        break;
      case 2:
        await again(() => store.leave(room, userId));
        break;
      case 3:
        await again(() => store.setPresence(room, userId, turn));
        break;
      case 4:
        await again(() => store.broadcast(room, userId, "{}"));
        break;
      default:
        await again(() => store.join(room, userId, turn));
    }
  }
}

test("three replicas, many users, few rooms: no deadlock, and the counts agree", async () => {
  const opened = await Promise.all([open(), open(), open()]);
  let state = 42;
  const random = (below: number): number => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
  const users = Array.from({ length: 60 }, (_, n) => `u${n}`);
  // Each user acts on two replicas at the same time.
  await Promise.all(
    users.flatMap((userId, n) => [
      actAtRandom(userId, opened[n % 3] as Opened, random),
      actAtRandom(userId, opened[(n + 1) % 3] as Opened, random),
    ]),
  );
  for (const one of opened)
    await Promise.all(
      users.map((userId) => again(() => one.store.disconnected(userId, will(userId)))),
    );
  for (const { logged } of opened) expect(logged).toEqual([]);
  const { rows } = await sql.query<{ deadlocks: string }>(
    `SELECT pg_stat_clear_snapshot(), deadlocks FROM pg_stat_database
     WHERE datname = current_database()`,
  );
  expect(Number(rows[0]?.deadlocks)).toBe(0);
  const wrong = `SELECT 1
    FROM (SELECT room, count(*) AS n FROM "_pylon_room_members" GROUP BY room) m
    FULL JOIN "_pylon_rooms" r ON r.name = m.room WHERE m.n IS DISTINCT FROM r.members`;
  expect((await sql.query(wrong)).rows).toEqual([]);
  expect(await count(`"_pylon_room_connections"`)).toBe(0);
  // A member without a call since its last connection closed expires after the grace; the rest
  // stays.
  await until(async () => (await count(`"_pylon_room_leavers"`)) === 0);
  expect(await count(`"_pylon_room_members" WHERE due_at IS NULL`)).toBe(0);
  expect((await sql.query(wrong)).rows).toEqual([]);
  for (const users of [await usersIn(opened[0], "r0"), await usersIn(opened[1], "r0")])
    expect(users).toEqual(await usersIn(opened[2], "r0"));
}, 60_000);
