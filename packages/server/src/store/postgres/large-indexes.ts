import type { ManifestIndex } from "@pylonsync/sdk";
import type { ClientBase } from "pg";
import type { Platform } from "../../platform.ts";
import type { Migration, MigrationStep } from "../../schema/migration.ts";
import { errorCode } from "../../util/errors.ts";
import { notUnique } from "../rows-do-not-fit.ts";
import { quote } from "../sql/quote.ts";
import { createIndex, indexName } from "./ddl.ts";
import { pause } from "./pause.ts";
import type { ConnectionPool } from "./pool.ts";

// A plain CREATE INDEX blocks all writes to its table until it is done. Indexes of large tables are
// built by CREATE INDEX CONCURRENTLY, which does not block writes but can't run in a transaction:
// the migration records them in its own transaction, and they are built after the commit.

/** Smaller tables are indexed directly: that is too fast to delay writes noticeably. */
const LARGE_BYTES = 1 << 20;
const KEY = "index:";
/** Only index builds take this lock. */
const LOCK = "SELECT pg_try_advisory_xact_lock(1887005808) AS got";
/** The lock's transaction does nothing else: it holds no snapshot that builds wait for. */
const BEGIN_LOCK = [
  "BEGIN ISOLATION LEVEL READ COMMITTED",
  "SET LOCAL idle_in_transaction_session_timeout = 0",
];
const NO_LIMITS = ["SET statement_timeout = 0", "SET lock_timeout = 0"];
const DEADLOCK = "40P01";
const DUPLICATE_VALUES = "23505";
const MAX_ATTEMPTS = 5;

type CreateStep = MigrationStep & { readonly kind: "create_index" };
type Pending = Pick<CreateStep, "entity" | "index">;

/** Connections: one for the build, and one whose transaction excludes other replicas. */
export interface IndexPools {
  readonly build: ConnectionPool;
  readonly lock: ConnectionPool;
}

/**
 * Returns the steps of a migration to run after its commit: indexes of large tables whose rows the
 * migration does not write itself.
 */
export async function largeIndexSteps(
  client: ClientBase,
  { steps }: Migration,
): Promise<ReadonlySet<MigrationStep>> {
  const written = new Set(
    steps.flatMap((step) => {
      if (step.kind === "create_table") return [step.entity.name];
      return step.kind === "retype_column" || step.kind === "convert_column" ? [step.entity] : [];
    }),
  );
  const large = new Set<MigrationStep>();
  for (const step of steps) {
    if (step.kind !== "create_index" || written.has(step.entity)) continue;
    const { rows } = await client.query<{ bytes: string | null }>(
      "SELECT pg_relation_size(to_regclass($1)) AS bytes",
      [quote(step.entity)],
    );
    if (Number(rows[0]?.bytes ?? 0) >= LARGE_BYTES) large.add(step);
  }
  return large;
}

/** Records, in the migration's transaction, that the index must be built. */
export async function noteIndex(client: ClientBase, { entity, index }: Pending): Promise<void> {
  await client.query(
    `INSERT INTO "_pylon_meta" (key, value) VALUES ($1, $2)
     ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    [keyOf(entity, index.name), JSON.stringify({ entity, index })],
  );
}

/** Removes the recorded indexes of the entity or index that a step drops. */
export async function forgetIndexes(client: ClientBase, step: MigrationStep): Promise<void> {
  if (step.kind === "drop_index")
    await client.query(`DELETE FROM "_pylon_meta" WHERE key = $1`, [
      keyOf(step.entity, step.index),
    ]);
  if (step.kind === "drop_table")
    await client.query(`DELETE FROM "_pylon_meta" WHERE starts_with(key, $1)`, [
      keyOf(step.entity, ""),
    ]);
}

/**
 * Builds the recorded indexes that are not built yet. Of several replicas one builds, and the
 * others wait. An index that a crash left unfinished is dropped and built again.
 *
 * @throws PylonStartError if rows have the same values in the fields of a unique index
 */
export async function buildLargeIndexes(pools: IndexPools, platform: Platform): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    const pending = await pools.build.again(() => withClient(pools.build, pendingIndexes));
    if (pending.length === 0) return;
    const isMine = await withLock(pools.lock, () =>
      withClient(pools.build, async (client) => {
        for (const sql of NO_LIMITS) await client.query(sql);
        for (const one of await pendingIndexes(client)) await build(client, one, platform);
      }),
    );
    if (!isMine) await pause(platform, attempt);
  }
}

async function withClient<T>(
  pool: ConnectionPool,
  work: (client: ClientBase) => Promise<T>,
): Promise<T> {
  const lease = await pool.take("write");
  try {
    return await work(lease.client);
  } finally {
    // The connection is not reused: it has its own settings, or is broken.
    lease.release(true);
  }
}

/** @returns whether the lock was free, and the work was done */
async function withLock(pool: ConnectionPool, work: () => Promise<void>): Promise<boolean> {
  return withClient(pool, async (client) => {
    for (const sql of BEGIN_LOCK) await client.query(sql);
    const { rows } = await client.query<{ got: boolean }>(LOCK);
    if (rows[0]?.got !== true) return false;
    await work();
    return true;
  });
}

async function pendingIndexes(client: ClientBase): Promise<Pending[]> {
  const { rows } = await client.query<{ value: string }>(
    `SELECT value FROM "_pylon_meta" WHERE starts_with(key, $1) ORDER BY key`,
    [KEY],
  );
  return rows.map(({ value }) => JSON.parse(value));
}

async function build(client: ClientBase, pending: Pending, platform: Platform): Promise<void> {
  const { entity, index } = pending;
  for (let attempt = 1; ; attempt += 1) {
    try {
      if ((await isThere(client, entity)) && !(await isBuilt(client, entity, index)))
        await client.query(createIndex(entity, index, { concurrently: true }));
      await client.query(`DELETE FROM "_pylon_meta" WHERE key = $1`, [keyOf(entity, index.name)]);
      return;
    } catch (error) {
      if (errorCode(error) === DUPLICATE_VALUES && error instanceof Error) {
        await client.query(dropIndex(entity, index));
        throw notUnique("detail" in error ? String(error.detail) : error.message);
      }
      if (errorCode(error) !== DEADLOCK || attempt === MAX_ATTEMPTS) throw error;
      await pause(platform, attempt);
    }
  }
}

async function isThere(client: ClientBase, entity: string): Promise<boolean> {
  const { rows } = await client.query<{ found: string | null }>(
    "SELECT to_regclass($1)::text AS found",
    [quote(entity)],
  );
  return typeof rows[0]?.found === "string";
}

/** Whether the index is complete. An incomplete one, left by a crash, is dropped. */
async function isBuilt(client: ClientBase, entity: string, index: ManifestIndex): Promise<boolean> {
  const { rows } = await client.query<{ valid: boolean }>(
    "SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = to_regclass($1)",
    [quote(indexName(entity, index.name))],
  );
  if (rows[0]?.valid === false) await client.query(dropIndex(entity, index));
  return rows[0]?.valid === true;
}

function dropIndex(entity: string, index: ManifestIndex): string {
  return `DROP INDEX CONCURRENTLY IF EXISTS ${quote(indexName(entity, index.name))}`;
}

/** Unambiguous, because names of entities contain no dot. */
function keyOf(entity: string, index: string): string {
  return `${KEY}${entity}.${index}`;
}
