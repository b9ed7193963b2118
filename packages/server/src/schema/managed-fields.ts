import type { StoredRow, Value } from "./row.ts";
import { normaliseEmail } from "./email-address.ts";
import type { Entity } from "./schema.ts";

/**
 * Applies the rules for the email address by which a user is found and trusted, regardless of who
 * writes it: the address is stored in the form in which it is looked up, and a different address is
 * unverified unless the write says otherwise.
 *
 * @param before the current row; null for an insert
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
  const isVerified =
    before === null ||
    address === before["email"] ||
    Object.hasOwn(values, "emailVerified") ||
    proof === undefined;
  return { ...values, email: address, ...(isVerified ? {} : unverified(proof)) };
}

/** A date that must not be null can't express that the address is unverified. */
function unverified({
  kind,
  optional,
}: {
  readonly kind: string;
  readonly optional: boolean;
}): Record<string, Value> {
  if (kind === "bool") return { emailVerified: false };
  return optional ? { emailVerified: null } : {};
}
