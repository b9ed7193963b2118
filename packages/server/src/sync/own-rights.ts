import type { Identity } from "../identity/identity.ts";
import type { ChangeRecord } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";

/**
 * Whether one of the changes is to the rights of this caller itself: to its session, as when
 * another organization is selected or the session gets another user, or to the claims of its user.
 *
 * A replica whose cursor has an epoch of its caller learns of that by the epoch. A client of the
 * public system has none, and would keep the rows of its former rights.
 */
export function changesOwnRights(
  records: readonly Pick<ChangeRecord, "entity" | "rowId">[],
  { sessionId, caller }: Identity,
): boolean {
  const { sessions, userClaims } = SYSTEM_TABLES;
  return records.some(
    ({ entity, rowId }) =>
      (entity === sessions.name && rowId === sessionId) ||
      (entity === userClaims.name && rowId === caller.userId),
  );
}
