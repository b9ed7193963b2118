import type { StoredRow, Transaction } from "../../store/store.ts";
import type { AuthServices } from "../auth-services.ts";

/**
 * Returns the check for a transaction that has removed a credential of the user: there must be
 * another one. Somebody who receives mail at the user's address can always request a code.
 */
export function keepsSignIn(
  { credentials, mails }: Pick<AuthServices, "credentials" | "mails">,
  user: StoredRow,
): (tx: Transaction) => Promise<void> {
  const hasCodes = mails.canSend && typeof user["email"] === "string";
  return hasCodes ? () => Promise.resolve() : (tx) => credentials.requireSignIn(tx, user.id);
}
