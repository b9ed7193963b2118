import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import type { StoredRow } from "../../store/store.ts";
import type { Users } from "./users.ts";

/**
 * Returns the row of the calling user.
 *
 * @throws PylonError AUTH_REQUIRED for a guest and for the admin token
 */
export async function ownUser(
  { users }: { readonly users: Users },
  { caller }: RequestContext,
): Promise<StoredRow> {
  const user = caller.userId === null || caller.isGuest ? null : await users.get(caller.userId);
  if (user !== null) return user;
  const [message, hint] = caller.isGuest
    ? ["A guest may not do this, because it needs an account.", "Sign up, or sign in."]
    : ["Only a signed-in user may do this.", "Sign in."];
  throw new PylonError("AUTH_REQUIRED", message, { hint });
}
