import { and, literal, path, type Expr } from "@pylonsync/query";
import type { DataMigration, DataMigrationContext } from "@pylonsync/sdk";
import { ANONYMOUS } from "../identity/identity.ts";
import { sleep, type Platform } from "../platform.ts";
import { PylonStartError } from "../start-error.ts";
import type { Store, StoredRow } from "../store/store.ts";
import { isoTime, isoTimeOrNull, type RowOf } from "../store/system-table.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import type { Committer } from "./commit.ts";
import { writerDb } from "./hook-context.ts";
import type { DataModel } from "./model.ts";
import type { Writer } from "./writer.ts";

const MIGRATIONS = SYSTEM_TABLES.dataMigrations;
/** The number of rows per transaction. */
const BATCH = 100;
/** How long a replica waits before it checks again whether another is done, in milliseconds. */
const POLL_MS = 100;
/** The maximum number of rows of the history that are listed. */
const MAX_LISTED = 1_000;

/** Data migrations by name. The name is that of the file, without its extension. */
export type DataMigrations = ReadonlyMap<string, DataMigration>;

/** The parts of the server that data migrations depend on. */
export interface DataMigrationOptions {
  readonly store: Store;
  readonly committer: Committer;
  readonly model: () => DataModel;
  readonly platform: Platform;
  /** The version of the app, which is stored in the history. */
  readonly version: string;
  /** Called after each transaction with the number of rows so far. */
  readonly onProgress: (name: string, rows: number) => void;
}

type State = RowOf<typeof MIGRATIONS>;
type Outcome = "done" | "busy" | { readonly rows: number };

/**
 * Runs the data migrations that this database has not completed, in the order of their names. Each
 * transaction stores the progress, so that a migration continues there after a crash. With several
 * replicas, one works at a time, and the others wait until all migrations are done.
 *
 * @throws PylonStartError if a migration fails; its committed transactions are kept
 */
export async function runDataMigrations(
  migrations: DataMigrations,
  options: DataMigrationOptions,
): Promise<void> {
  for (const [name, migration] of [...migrations].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const state = await MIGRATIONS.get(options.store, name);
    if (state !== null && state.doneAt !== null) continue;
    try {
      if (state === null) await begin(name, migration, options);
      await runOne(name, migration, options);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw new PylonStartError(
        `The data migration ${name} failed: ${text.slice(0, 500)} The completed part is kept. ` +
          "Fix the migration, and start again: it continues where it stopped.",
        { cause: error },
      );
    }
  }
}

/** Stores a migration's state. It covers the rows that exist now: it may insert rows itself. */
async function begin(
  name: string,
  migration: DataMigration,
  { store, platform, version }: DataMigrationOptions,
): Promise<void> {
  await store.transact(async (tx) => {
    // Another replica may have started it.
    if ((await MIGRATIONS.get(tx, name)) !== null) return;
    const [last] =
      "run" in migration
        ? []
        : await tx.select({
            entity: migration.entity,
            order: [{ field: "id", direction: "desc" }],
            limit: 1,
          });
    await MIGRATIONS.put(tx, {
      id: name,
      after: "",
      last: last?.id ?? null,
      rows: 0,
      appVersion: version,
      startedAt: platform.now(),
      doneAt: null,
    });
  });
}

async function runOne(
  name: string,
  migration: DataMigration,
  options: DataMigrationOptions,
): Promise<void> {
  const { committer, platform, onProgress } = options;
  for (;;) {
    const { result } = await committer.commit<Outcome>(
      { caller: ANONYMOUS, policies: "bypassed" },
      (writer) => runNext(name, migration, writer, options),
    );
    if (result === "done") return;
    if (result === "busy") await sleep(platform, POLL_MS);
    else onProgress(name, result.rows);
    // Lets requests run that arrived in the meantime.
    await new Promise<void>((resolve) => platform.soon(resolve));
  }
}

async function runNext(
  name: string,
  migration: DataMigration,
  writer: Writer,
  { model, platform }: DataMigrationOptions,
): Promise<Outcome> {
  const tx = writer.transaction;
  const [state] = await MIGRATIONS.select(tx, {
    where: MIGRATIONS.is("id", name),
    limit: 1,
    isClaim: true,
  });
  if (state === undefined) return "busy";
  if (state.doneAt !== null) return "done";
  const now = platform.now();
  const context: DataMigrationContext = {
    db: writerDb(writer, model(), { caller: ANONYMOUS, now, monotonic: platform.monotonic }),
    now,
    uuid: () => platform.uuid(),
  };
  if ("run" in migration) {
    await migration.run(context);
    await MIGRATIONS.update(tx, name, { doneAt: now });
    return { rows: 0 };
  }
  const { opened } = model().entity(migration.entity).sealing;
  const batch = (await nextRows(writer, migration.entity, state)).map(opened);
  for (const row of batch) await callEach(migration, context, row);
  const rows = state.rows + batch.length;
  const isDone = batch.length < BATCH;
  await MIGRATIONS.update(tx, name, {
    after: batch.at(-1)?.id ?? state.after,
    rows,
    doneAt: isDone ? now : null,
  });
  return { rows };
}

async function nextRows(
  writer: Writer,
  entity: string,
  { after, last }: State,
): Promise<StoredRow[]> {
  if (last === null) return [];
  const where = and(compareId(">", after), compareId("<=", last));
  return writer.transaction.select({ entity, where, limit: BATCH });
}

/** @throws Error with the id of the row in its message */
async function callEach(
  { each }: Extract<DataMigration, { readonly entity: string }>,
  context: DataMigrationContext,
  row: StoredRow,
): Promise<void> {
  try {
    await Reflect.apply(each, undefined, [context, row]);
  } catch (error) {
    if (error instanceof Error) error.message = `${error.message} (at the row "${row.id}")`;
    throw error;
  }
}

function compareId(op: ">" | "<=", id: string): Expr {
  return { kind: "compare", op, left: path("data", "id"), right: literal(id) };
}

/** A data migration of an app or of a database, with its progress in the database. */
export interface DataMigrationState {
  readonly name: string;
  readonly state: "pending" | "running" | "done";
  /** The number of rows processed so far. */
  readonly rows: number;
  /** The version of the app that started it; null while it is pending. */
  readonly app_version: string | null;
  /** ISO 8601; null if it has not started. */
  readonly started_at: string | null;
  /** ISO 8601; null if it is not done. */
  readonly done_at: string | null;
}

/**
 * Returns the data migrations of an app's folder and of a database's history, sorted by name.
 *
 * @param names the names of the app's files, without extension
 * @param store null if the database does not exist
 *
 * @example const all = await dataMigrationStates(["20260131_120000_states"], store);
 */
export async function dataMigrationStates(
  names: Iterable<string>,
  store: Store | null,
): Promise<DataMigrationState[]> {
  const known =
    store === null
      ? []
      : await MIGRATIONS.select(store, {
          order: [{ field: "id", direction: "asc" }],
          limit: MAX_LISTED,
        });
  const states = new Map<string, DataMigrationState>(
    [...names].map((name) => [
      name,
      { name, state: "pending", rows: 0, app_version: null, started_at: null, done_at: null },
    ]),
  );
  for (const { id, rows, appVersion, startedAt, doneAt } of known)
    states.set(id, {
      name: id,
      state: doneAt === null ? "running" : "done",
      rows,
      app_version: appVersion,
      started_at: isoTime(startedAt),
      done_at: isoTimeOrNull(doneAt),
    });
  return [...states.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
