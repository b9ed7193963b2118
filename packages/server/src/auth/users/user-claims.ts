import type { Claims } from "@pylonsync/query";
import { checkClaims } from "../../identity/claims.ts";
import type { Reader, Transaction } from "../../store/store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";

const CLAIMS = SYSTEM_TABLES.userClaims;

/** Returns the claims that an admin or a function gave a user, or an empty object. */
export async function userClaims(reader: Reader, userId: string): Promise<Claims> {
  return (await CLAIMS.get(reader, userId))?.claims ?? {};
}

/**
 * Replaces a user's claims. All replicas, and the connections of the user's sessions and API keys,
 * are notified when the transaction commits.
 *
 * @param given an object; an empty one removes all claims
 * @param at milliseconds since 1970
 * @returns the claims as they are stored
 * @throws PylonError INVALID_DATA
 */
export async function setUserClaims(
  tx: Transaction,
  userId: string,
  given: unknown,
  at: number,
): Promise<Claims> {
  const claims = checkClaims(given);
  await CLAIMS.put(tx, { id: userId, claims });
  await CLAIMS.announce(tx, userId, "update", at);
  return claims;
}
