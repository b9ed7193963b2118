import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { Client } from "pg";
import { until } from "../../../../../tests/support/client.ts";
import {
  createDatabase,
  sharedPostgresUrl,
} from "../../../../../tests/support/servers/postgres.ts";
import { PgBouncer } from "../../../../../tests/support/servers/pgbouncer.ts";
import { planMigration } from "../../schema/diff.ts";
import type { Store } from "../store.ts";
import { openPostgresStore, type PostgresStore } from "./postgres-store.ts";
import { SESSION_LIMITS, type SessionLimits } from "./session-settings.ts";

const manifest = buildManifest({
  name: "frozen",
  version: "1.0.0",
  entities: [entity("Account", { cents: field.int() })],
});
const POOL = 4;
const IDLE_MS = 400;

async function openReplica(
  url: string,
  limits: Partial<SessionLimits> = {},
): Promise<PostgresStore> {
  const store = await openPostgresStore({
    url,
    poolMax: POOL,
    ca: null,
    startTimeoutMs: 0,
    onState: () => undefined,
    limits: { ...SESSION_LIMITS, ...limits },
  });
  await store.migrate((stored) => ({
    migration: planMigration(JSON.parse(stored ?? "null"), manifest).migration,
    manifestJson: JSON.stringify(manifest),
  }));
  return store;
}

/** Adds one to the account; with `before` it stops after the write, until the promise resolves. */
function deposit(
  store: Store,
  id: string,
  before?: Promise<unknown>,
  signal?: AbortSignal,
): Promise<void> {
  return store.transact(
    async (tx) => {
      const row = await tx.get("Account", id);
      await tx.update("Account", id, { cents: Number(row?.["cents"]) + 1 });
      await before;
    },
    { signal },
  );
}

test("D1: slow reads of callers are ended, and leave connections to others", async () => {
  const url = await createDatabase(sharedPostgresUrl());
  const store = await openReplica(url);
  const direct = new Client({ connectionString: url });
  await direct.connect();
  // A statement that waits for a table runs as long as it is allowed to.
  await direct.query(`BEGIN; LOCK TABLE "Account" IN ACCESS EXCLUSIVE MODE`);
  const slow = ["a", "a", "a", "b", "c", "d"].map((caller) =>
    store
      .limitedReader({ caller, timeoutMs: 1_500 })
      .count("Account")
      .catch((error: unknown) => error),
  );
  let ended = 0;
  for (const read of slow) void read.then(() => (ended += 1));
  await store.get("_pylon_ops", "none");
  await store.transact((tx) =>
    tx.insert("_pylon_ops", { id: "x", answer: "1", at: "2026-01-01T00:00:00.000Z" }),
  );
  await store.ping();
  await store.settle();
  expect(ended).toBe(0);
  const codes = (await Promise.all(slow)).map((error) => (error as { code?: string }).code);
  expect(codes[0]).toBe("QUERY_TIMEOUT");
  expect(new Set(codes)).toEqual(new Set(["QUERY_TIMEOUT", "OVERLOADED"]));
  expect(store.stats().reads.timedOut).toBeGreaterThan(0);
  const { rows } = await direct.query(
    `SELECT 1 FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  );
  expect(rows).toEqual([]);
  await direct.query("ROLLBACK");
  expect(await store.limitedReader({ caller: "a", timeoutMs: 20_000 }).count("Account")).toBe(0);
  await store.close();
  await direct.end();
});

test("D1: a caller with slow reads leaves connections to other callers", async () => {
  const url = await createDatabase(sharedPostgresUrl());
  const store = await openReplica(url);
  const direct = new Client({ connectionString: url });
  await direct.connect();
  await direct.query(`BEGIN; LOCK TABLE "Account" IN ACCESS EXCLUSIVE MODE`);
  const greedy = store.limitedReader({ caller: "greedy", timeoutMs: 20_000 });
  const slow = Array.from({ length: 12 }, () => greedy.count("Account"));
  const other = store.limitedReader({ caller: "other", timeoutMs: 20_000 });
  expect(await other.count("_pylon_ops")).toBe(0);
  await direct.query("ROLLBACK");
  expect(await Promise.all(slow)).toEqual(slow.map(() => 0));
  await store.close();
  await direct.end();
});

describe.each(["Postgres", "PgBouncer"])(
  "a replica that freezes in a transaction, on %s",
  (kind) => {
    let direct: Client;
    let url: string;
    let pooler: PgBouncer | null = null;
    let frozen: PostgresStore;
    let other: PostgresStore;

    beforeEach(async () => {
      url = await createDatabase(sharedPostgresUrl());
      direct = new Client({ connectionString: url });
      await direct.connect();
      pooler = kind === "PgBouncer" ? await PgBouncer.start(url) : null;
      frozen = await openReplica(pooler?.url ?? url);
      other = await openReplica(pooler?.url ?? url);
      await other.transact(async (tx) => {
        await tx.insert("Account", { id: "hot", cents: 0 });
        await tx.insert("Account", { id: "cold", cents: 0 });
      });
    });
    afterEach(async () => {
      await other.close();
      await frozen.close();
      await direct.end();
      await pooler?.[Symbol.asyncDispose]();
    });

    /** The number of backends in a state, without the one of this query. */
    async function backends(condition: string): Promise<number> {
      const { rows } = await direct.query<{ count: number }>(
        `SELECT count(*)::int AS count FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid() AND ${condition}`,
      );
      return rows[0]?.count ?? 0;
    }
    // Between its read and its write a transaction is also idle, and holds no locks.
    const holding = `query LIKE 'UPDATE%' AND state = 'idle in transaction'`;
    const waiting = `wait_event_type = 'Lock'`;

    test("F1: loses its rows, and others continue", async () => {
      const never = new Promise(() => undefined);
      const gone = new AbortController();
      const brief = await openReplica(pooler?.url ?? url, { idleMs: IDLE_MS });
      const lost = deposit(brief, "hot", never, gone.signal).catch((error: unknown) => error);
      await until(async () => (await backends(holding)) > 0);
      await deposit(other, "hot");
      expect(await other.get("Account", "hot")).toMatchObject({ cents: 1 });
      gone.abort(new Error("It is thawed."));
      await lost;
      await brief.close();
    });

    test("F1: any number of writers of its row use no connections of others", async () => {
      const frozenUntil = Promise.withResolvers<void>();
      const hold = deposit(frozen, "hot", frozenUntil.promise);
      await until(async () => (await backends(holding)) > 0);
      let answered = 0;
      const writers = Array.from({ length: 3 * POOL }, async () => {
        await deposit(other, "hot");
        answered += 1;
      });
      for (let round = 0; round < 5; round += 1) {
        await other.get("Account", "cold");
        await other.count("Account");
        await deposit(other, "cold");
        await other.ping();
        await other.settle();
      }
      expect(answered).toBe(0);
      expect(await backends(waiting)).toBeLessThanOrEqual(1);
      frozenUntil.resolve();
      await Promise.all([hold, ...writers]);
      expect(await other.get("Account", "hot")).toMatchObject({ cents: 3 * POOL + 1 });
      expect(await other.get("Account", "cold")).toMatchObject({ cents: 5 });
    });

    test("F1: a caller that aborts leaves no statement running", async () => {
      const patient = await openReplica(pooler?.url ?? url, { lockMs: 30_000 });
      const gone = new AbortController();
      // Not with `direct`: in a transaction it would see the backends as of its first query.
      const locker = new Client({ connectionString: url });
      await locker.connect();
      await locker.query(`BEGIN; LOCK TABLE "Account" IN ACCESS EXCLUSIVE MODE`);
      const blocked = patient
        .transact((tx) => tx.get("Account", "cold"), { signal: gone.signal })
        .catch((error: unknown) => error);
      await until(async () => (await backends(waiting)) > 0);
      const reason = new Error("It has given up.");
      gone.abort(reason);
      expect(await blocked).toBe(reason);
      await until(async () => (await backends(waiting)) === 0);
      await locker.end();
      await patient.close();
    });
  },
);
