import type { StoredRow, Value } from "./row.ts";
import { normaliseEmail } from "./email-address.ts";
import type { Entity } from "./schema.ts";

/**
 * What a write to a user means for the address that the user is found and trusted by, no matter who
 * writes it: the address is kept in the form in which it is looked up, and another one is not
 * proved unless the write says that it is.
 *
 * @param before the row as it is; null for an insert
 */
export function withEmailRules(
  entity: Entity,
  before: StoredRow | null,
  values: Readonly<Record<string, Value>>,
): Record<string, Value> {
  const { email } = values;
  if (email === undefined || entity.fields.get("email")?.managed !== true) return values;
  const address = typeof email === "string" ? normaliseEmail(email) : email;
  const proof = entity.fields.get("emailVerified");
  const isProved =
    before === null ||
    address === before["email"] ||
    Object.hasOwn(values, "emailVerified") ||
    proof === undefined;
  return { ...values, email: address, ...(isProved ? {} : unproved(proof)) };
}

/** A date that may not be missing can't say that there is no proof. */
function unproved({
  kind,
  optional,
}: {
  readonly kind: string;
  readonly optional: boolean;
}): Record<string, Value> {
  if (kind === "bool") return { emailVerified: false };
  return optional ? { emailVerified: null } : {};
}
