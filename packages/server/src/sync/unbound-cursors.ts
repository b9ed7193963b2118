import type { DataModel } from "../data/model.ts";
import type { Identity } from "../identity/identity.ts";
import type { ChangeRecord, Store } from "../store/store.ts";
import { transactById } from "../store/system-table.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { readRulesDigest } from "./replica-epoch.ts";

const { sessions, userClaims, readRules } = SYSTEM_TABLES;
const CURRENT = "current";

/**
 * Whether a replica must start over after one of these changes, if its cursor has no epoch of its
 * caller: the rights of the caller changed, as when its session selects another organization or
 * gets another user, or another version of the app has other fields or read policies.
 *
 * Cursors with an epoch show it themselves. A client of the public system has none, and would keep
 * the rows of its former rights.
 */
export function endsUnboundCursors(
  records: readonly Pick<ChangeRecord, "entity" | "rowId">[],
  { sessionId, caller }: Identity,
): boolean {
  return records.some(
    ({ entity, rowId }) =>
      (entity === sessions.name && rowId === sessionId) ||
      (entity === userClaims.name && rowId === caller.userId) ||
      entity === readRules.name,
  );
}

/** Writes into the change log that the app has other fields or read policies than the last one. */
export async function announceReadRules(
  store: Store,
  model: DataModel,
  now: () => number,
): Promise<void> {
  const digest = readRulesDigest(model);
  if ((await readRules.get(store, CURRENT))?.digest === digest) return;
  await transactById(store, async (tx) => {
    const before = await readRules.get(tx, CURRENT);
    if (before === null) return readRules.insert(tx, { id: CURRENT, digest });
    if (before.digest === digest) return;
    await readRules.update(tx, CURRENT, { digest });
    await readRules.announce(tx, CURRENT, "update", now());
  });
}
