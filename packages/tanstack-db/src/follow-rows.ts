import type { QueryOptions, SyncEngine } from "@pylonsync/sync";
import { observeQuery } from "@pylonsync/sync/bindings";
import type { SyncConfig } from "@tanstack/db";

/** A row of a collection. */
export interface SyncedRow {
  readonly id: string;
}

type Target = Pick<
  Parameters<SyncConfig<SyncedRow, string>["sync"]>[0],
  "begin" | "write" | "commit" | "markReady" | "markError"
>;

/**
 * Writes the rows of a live query into a collection, and then the differences after each change.
 *
 * @returns a function that stops it
 */
export function followRows(
  engine: SyncEngine,
  entity: string,
  options: QueryOptions,
  target: Target,
): () => void {
  const observable = observeQuery(engine, entity, options);
  let before: ReadonlyMap<string, SyncedRow> = new Map();
  const show = (): void => {
    const { data, isComplete, error } = observable.getSnapshot();
    if (error !== null) return target.markError(error);
    const now = new Map(data.map((row) => [row.id, row]));
    writeDifference(before, now, target);
    before = now;
    if (isComplete) target.markReady();
  };
  const stop = observable.subscribe(show);
  show();
  return stop;
}

/** A row that is the same object is unchanged. */
function writeDifference(
  before: ReadonlyMap<string, SyncedRow>,
  now: ReadonlyMap<string, SyncedRow>,
  { begin, write, commit }: Target,
): void {
  const gone = [...before.keys()].filter((id) => !now.has(id));
  const changed = [...now.values()].filter((row) => row !== before.get(row.id));
  if (gone.length + changed.length === 0) return;
  begin();
  for (const key of gone) write({ type: "delete", key });
  for (const value of changed)
    write({ type: before.has(value.id) ? "update" : "insert", value: { ...value } });
  // It is applied synchronously; only a commit with a signal can fail.
  void commit();
}
