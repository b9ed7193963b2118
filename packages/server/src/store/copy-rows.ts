import { literal, path, TRUE, type Expr } from "@pylonsync/query";
import type { Manifest } from "@pylonsync/sdk";
import type { Reader, Store, StoredRow } from "./store.ts";
import { SYSTEM_TABLES } from "./system-tables.ts";

/** The number of rows per transaction. */
const PAGE = 500;
const PAGE_BYTES = 8 * 1024 * 1024;

/**
 * The tables of Pylon that belong to one database or one server: the history and the progress of
 * its own migrations, and the replicas that run shards.
 */
const NOT_COPIED: ReadonlySet<string> = new Set([
  SYSTEM_TABLES.migrations.name,
  SYSTEM_TABLES.backfills.name,
  SYSTEM_TABLES.shardReplicas.name,
]);

/** A row of the table of backfills, which exists while a copy is made. */
const UNFINISHED = "copy";

/**
 * Whether a copy to the store was begun and not finished. Its tables must exist.
 */
export async function hasUnfinishedCopy(store: Reader): Promise<boolean> {
  return (await store.get(SYSTEM_TABLES.backfills.name, UNFINISHED)) !== null;
}

/** The number of rows of each table that were copied. */
export type CopiedRows = Readonly<Record<string, number>>;

/** Options of copying. */
export interface CopyOptions {
  /** Called after each page, for example with `("Order", 1500)`: the rows so far. */
  readonly onProgress?: ((table: string, copied: number) => void) | undefined;
}

/**
 * Returns a table of the store that has rows, among those that `copyRows` writes; null if the store
 * has none.
 */
export async function firstFilled(store: Store, manifest: Manifest): Promise<string | null> {
  for (const table of tablesOf(manifest))
    if ((await store.select({ entity: table, where: TRUE, limit: 1 })).length > 0) return table;
  return null;
}

/**
 * Copies all rows of the app, and those of Pylon itself: users with their passwords, sessions and
 * keys, jobs, workflows and answers by idempotency key. The log of changes is not copied: clients
 * load a new snapshot from the other database, and keep their unsent writes. Until everything is
 * copied, no server starts on the target.
 *
 * Both stores must have the tables of the manifest, and no server may write to either.
 *
 * @param target has no rows, see `firstFilled`
 */
export async function copyRows(
  source: Store,
  target: Store,
  manifest: Manifest,
  { onProgress }: CopyOptions = {},
): Promise<CopiedRows> {
  const copied: Record<string, number> = {};
  const backfills = SYSTEM_TABLES.backfills.name;
  await target.transact((tx) =>
    tx.insertNew(backfills, { id: UNFINISHED, after: "", filled: 0, doneAt: null }),
  );
  for (const table of tablesOf(manifest)) {
    let count = 0;
    for await (const rows of pagesOf(source, table)) {
      await target.transact(async (tx) => {
        for (const row of rows) await tx.insertNew(table, row);
      });
      count += rows.length;
      onProgress?.(table, count);
    }
    copied[table] = count;
  }
  await target.transact((tx) => tx.delete(backfills, UNFINISHED));
  return copied;
}

function tablesOf(manifest: Manifest): string[] {
  const own = Object.values(SYSTEM_TABLES).map(({ name }) => name);
  return [
    ...manifest.entities.map(({ name }) => name),
    ...own.filter((name) => !NOT_COPIED.has(name)),
  ];
}

/** Yields all rows of a table in the order of their ids. */
async function* pagesOf(source: Store, table: string): AsyncGenerator<StoredRow[]> {
  let where: Expr = TRUE;
  for (;;) {
    const rows: StoredRow[] = await source.select({
      entity: table,
      where,
      limit: PAGE,
      maxBytes: PAGE_BYTES,
    });
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows;
    where = { kind: "compare", op: ">", left: path("data", "id"), right: literal(last.id) };
  }
}
