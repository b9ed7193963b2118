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
  if (user === null)
    throw new PylonError("AUTH_REQUIRED", "Only a signed-in user may do this.", {
      hint: "Sign in.",
    });
  return user;
}
