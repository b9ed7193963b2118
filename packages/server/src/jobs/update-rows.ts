import type { RowPlace, RowUpdate, Transaction } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";

/**
 * Updates jobs whose patches may set different fields, with one step for each set of fields.
 *
 * @returns the ids of the updated jobs with their current places
 */
export async function updateRows(
  tx: Transaction,
  updates: readonly RowUpdate[],
): Promise<ReadonlyMap<string, RowPlace>> {
  const updated = new Map<string, RowPlace>();
  const byFields = Map.groupBy(updates, ({ patch }) => Object.keys(patch).join(" "));
  for (const alike of byFields.values())
    for (const [id, place] of await tx.updateMany(SYSTEM_TABLES.jobs.name, alike))
      updated.set(id, place);
  return updated;
}
