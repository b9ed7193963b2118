import { PylonError } from "@pylonsync/protocol";
import type { Caller } from "../identity/identity.ts";

/**
 * Refuses a request that names another user than its caller. A page that is authenticated by a
 * cookie learns of another user's sign-in in another tab only afterwards, and must not act in that
 * user's name.
 *
 * @param userId the user who made the request, null for an anonymous one; undefined: not named
 * @param what completes the sentence "... by another user than the caller."
 * @throws PylonError UNAUTHORIZED
 */
export function requireAuthor(
  { userId: callerId }: Caller,
  userId: string | null | undefined,
  what: string,
): void {
  if (userId === undefined || userId === callerId) return;
  throw new PylonError("UNAUTHORIZED", `${what} by another user than the caller.`, {
    hint: "Ask GET /api/auth/me who is signed in.",
    field: "user_id",
  });
}
