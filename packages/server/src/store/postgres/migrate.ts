import { hash } from "node:crypto";
import type { ClientBase } from "pg";
import type { Platform } from "../../platform.ts";
import { PylonStartError } from "../../start-error.ts";
import { errorCode } from "../../util/errors.ts";
import type { SchemaChange } from "../store.ts";
import { recordMigration } from "../sql/record-migration.ts";
import { notUnique } from "../rows-do-not-fit.ts";
import { RENEW_LOG } from "./change-log.ts";
import { BASE_DDL, BASE_GENERATION, ddlOf } from "./ddl.ts";
import { buildLargeIndexes, forgetIndexes, largeIndexSteps, noteIndex } from "./large-indexes.ts";
import { pause } from "./pause.ts";
import type { ConnectionPool } from "./pool.ts";
import { retypeColumn } from "./retype-column.ts";
import { fillSearch, makeTrigrams, unfilled } from "./search-index.ts";

/** Reads the manifest of the latest migration. */
export const STORED_MANIFEST = `SELECT value FROM "_pylon_meta" WHERE key = 'manifest'`;

const SET_META = `INSERT INTO "_pylon_meta" (key, value) VALUES ($1, $2)
  ON CONFLICT (key) DO UPDATE SET value = excluded.value`;
/** Only Pylon's own schema changes acquire this lock. */
const LOCK = "SELECT pg_advisory_xact_lock(1887005807)";
/** Changing all rows of a table may take long. */
const NO_STATEMENT_TIMEOUT = "SET LOCAL statement_timeout = 0";
/**
 * A schema change waits for the transactions that use the table, and all later ones, including
 * reads, wait for it: so it waits only briefly, and is retried.
 */
const LOCK_TIMEOUT = "SET LOCAL lock_timeout = '250ms'";
const LOCK_ATTEMPTS = 120;
const LOCK_NOT_AVAILABLE = "55P03";
const PG_CONTROL = "to_regprocedure('pg_control_system()')";
const DATABASE = `SELECT oid::text AS oid,
    has_function_privilege(${PG_CONTROL}, 'execute') AS may_ask
  FROM pg_database WHERE datname = current_database()`;
const CLUSTER = "SELECT system_identifier::text AS id FROM pg_control_system()";
/** A dump that is restored in place creates the table again, with another oid. */
const LOG_TABLE = `SELECT '"_pylon_log"'::regclass::oid::text AS id`;
/** A cluster that was restored to an earlier time, or failed over, continues on a new timeline. */
const TIMELINE = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8) AS id";
/** Whether the log is of a cluster with higher transaction ids. */
const IS_AHEAD = `SELECT numbered_below > pg_snapshot_xmax(pg_current_snapshot()) AS is_ahead
  FROM "_pylon_log"`;
const DUPLICATE_VALUES = "23505";
const OLDEST_SERVER = 140_000;

/**
 * Creates or updates Pylon's own tables and functions for this version, or keeps those of a newer
 * version.
 *
 * @param extraDdl the statements of features whose state is not in rows; see PostgresOptions
 * @returns whether it renewed the change log, because the database was restored, or is a copy
 */
export async function prepareDatabase(
  pool: ConnectionPool,
  platform: Platform,
  extraDdl: readonly string[],
): Promise<boolean> {
  const ddl = [...BASE_DDL, ...extraDdl];
  const version = hash("sha256", ddl.join("\n"), "hex");
  const generation = String(BASE_GENERATION);
  return pool.again(() =>
    locked(pool, platform, async (client) => {
      await checkServer(client);
      const known = await client.query<{ found: string | null }>(
        `SELECT to_regclass('"_pylon_meta"')::text AS found`,
      );
      const made = known.rows[0]?.found === null ? new Map<string, string>() : await baseOf(client);
      const isNewer = Number(made.get("base_generation") ?? 0) > BASE_GENERATION;
      if (made.get("base") !== version) {
        for (const sql of isNewer ? extraDdl : ddl) await client.query(sql);
        if (!isNewer) {
          await client.query(SET_META, ["base", version]);
          await client.query(SET_META, ["base_generation", generation]);
        }
      }
      return renewIfCopied(client, made);
    }),
  );
}

/**
 * Renews the log if this database was restored, or is a copy: clients may have seen changes that it
 * lacks, and transaction ids of another cluster may prevent that changes are numbered.
 *
 * @param stored the identities of the database and of the log, if they are known
 * @returns whether it renewed the log
 */
async function renewIfCopied(
  client: ClientBase,
  stored: ReadonlyMap<string, string>,
): Promise<boolean> {
  const found = [
    ["origin", await originOf(client)],
    ["log_table", await idOf(client, LOG_TABLE)],
    ["timeline", await idOf(client, TIMELINE)],
  ] as const;
  const { rows } = await client.query<{ is_ahead: boolean }>(IS_AHEAD);
  const differing = found.filter(([key, id]) => id !== "" && id !== stored.get(key));
  const isCopy = rows[0]?.is_ahead === true || differing.some(([key]) => stored.has(key));
  if (isCopy) for (const sql of RENEW_LOG) await client.query(sql);
  for (const [key, id] of differing) await client.query(SET_META, [key, id]);
  return isCopy;
}

/** Identifies the database among all databases of all clusters, as far as the role may know. */
async function originOf(client: ClientBase): Promise<string> {
  const { rows } = await client.query<{ oid: string; may_ask: boolean | null }>(DATABASE);
  const [database] = rows;
  const oid = database?.oid ?? "";
  const cluster = database?.may_ask === true ? await idOf(client, CLUSTER) : "";
  return cluster === "" ? oid : `${cluster}/${oid}`;
}

/** @returns empty if the server has no such identifier, as some that only speak the protocol */
async function idOf(client: ClientBase, sql: string): Promise<string> {
  await client.query("SAVEPOINT identity");
  try {
    const { rows } = await client.query<{ id: string }>(sql);
    await client.query("RELEASE SAVEPOINT identity");
    return rows[0]?.id ?? "";
  } catch {
    await client.query("ROLLBACK TO SAVEPOINT identity");
    return "";
  }
}

/** The stored version and generation of Pylon's own tables, and the identities of the database. */
async function baseOf(client: ClientBase): Promise<ReadonlyMap<string, string>> {
  const { rows } = await client.query<{ key: string; value: string }>(
    `SELECT key, value FROM "_pylon_meta"
     WHERE key IN ('base', 'base_generation', 'origin', 'log_table', 'timeline')`,
  );
  return new Map(rows.map(({ key, value }) => [key, value]));
}

/**
 * Applies the migration that `plan` returns for the current tables.
 *
 * @returns the manifest that describes the tables afterwards
 */
export async function migrateSchema(
  {
    maintenance: pool,
    rows,
  }: { readonly maintenance: ConnectionPool; readonly rows: ConnectionPool },
  platform: Platform,
  plan: (stored: string | null) => SchemaChange,
): Promise<string> {
  const manifestJson = await pool.again(() =>
    locked(pool, platform, async (client) => {
      const { rows } = await client.query<{ value: string }>(STORED_MANIFEST);
      const stored = rows[0]?.value ?? null;
      const { migration, manifestJson, by } = plan(stored);
      const started = platform.monotonic();
      const wantsTrigrams = migration.steps.some(
        (step) => step.kind === "build_search" && step.index.typos,
      );
      const hasTrigrams = wantsTrigrams && (await makeTrigrams(client));
      const later = await largeIndexSteps(client, migration);
      for (const step of migration.steps) {
        await forgetIndexes(client, step);
        if (step.kind === "create_index" && later.has(step)) await noteIndex(client, step);
        else if (step.kind === "retype_column" || step.kind === "convert_column")
          await retypeColumn(client, step);
        else for (const sql of ddlOf(step, hasTrigrams)) await client.query(sql);
      }
      if (stored !== manifestJson) await client.query(SET_META, ["manifest", manifestJson]);
      const { text, params } = recordMigration(migration, by, {
        id: platform.uuid(),
        now: platform.now(),
        tookMs: platform.monotonic() - started,
      });
      if (migration.steps.length > 0) await client.query(text, params);
      return manifestJson;
    }),
  );
  await buildLargeIndexes({ build: pool, lock: rows }, platform);
  await pool.again(() => fillSearches(pool));
  return manifestJson;
}

/** Adds the missing rows to the search indexes. */
async function fillSearches(pool: ConnectionPool): Promise<void> {
  const lease = await pool.take("write");
  try {
    for (const entity of await unfilled(lease.client))
      while (await fillSearch(lease.client, entity));
    lease.release();
  } catch (error) {
    lease.release(true);
    throw error;
  }
}

/** Starts a new change log. */
export function renewLog(pool: ConnectionPool, platform: Platform): Promise<void> {
  return pool.again(() =>
    locked(pool, platform, (client) => pool.statements.runAll(client, ...RENEW_LOG)),
  );
}

async function checkServer(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ version: number; isolation: string }>(
    `SELECT current_setting('server_version_num')::int AS version,
       current_setting('default_transaction_isolation') AS isolation`,
  );
  const [server] = rows;
  if (server === undefined) return;
  if (server.version < OLDEST_SERVER)
    throw new PylonStartError(
      `This Postgres is older than version 14, the oldest supported version: upgrade it.`,
    );
  if (server.isolation !== "read committed") {
    throw new PylonStartError(
      `The database's default_transaction_isolation is "${server.isolation}": ` +
        'set it to "read committed"; Pylon requests a stricter level where it needs one.',
    );
  }
}

/** Runs the work in a transaction that excludes those of other replicas. */
async function locked<T>(
  pool: ConnectionPool,
  platform: Platform,
  work: (client: ClientBase) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const lease = await pool.take("write");
    const { client } = lease;
    try {
      const begin = ["BEGIN ISOLATION LEVEL READ COMMITTED", NO_STATEMENT_TIMEOUT];
      await pool.statements.runAll(client, ...begin, LOCK, LOCK_TIMEOUT);
      const result = await work(client);
      await client.query("COMMIT");
      lease.release();
      return result;
    } catch (error) {
      await client.query("ROLLBACK").catch(() => undefined);
      lease.release(true);
      const code = errorCode(error);
      if (code === DUPLICATE_VALUES && error instanceof Error && "detail" in error) {
        throw notUnique(String(error.detail));
      }
      if (code !== LOCK_NOT_AVAILABLE || attempt === LOCK_ATTEMPTS) throw error;
      await pause(platform, attempt);
    }
  }
}
