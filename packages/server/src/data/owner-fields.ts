import { PylonError } from "@pylonsync/protocol";
import type { Entity } from "../schema/schema.ts";
import type { Value } from "../store/store.ts";
import type { WriterOptions } from "./writer-options.ts";

/**
 * Sets owner fields to the caller's id, whatever the body contains; only an admin and trusted code
 * may set another user's id.
 *
 * @returns `fields` with the owner
 * @throws PylonError AUTH_REQUIRED, MISSING_FIELD
 */
export function stampOwner(
  entity: Entity,
  fields: Record<string, Value>,
  { caller, policies }: Pick<WriterOptions, "caller" | "policies">,
): Record<string, Value> {
  for (const field of entity.fields.values()) {
    if (!field.owner) continue;
    const trusted = policies === "bypassed" || caller.isAdmin;
    if (trusted && fields[field.name] !== null) continue;
    if (caller.userId === null && !field.optional && !trusted) {
      throw new PylonError(
        "AUTH_REQUIRED",
        `${entity.name}.${field.name} is set to the caller's id, but you are not signed in.`,
        { field: field.name },
      );
    }
    if (caller.userId !== null || !trusted) fields[field.name] = caller.userId;
    if (fields[field.name] === null && !field.optional) {
      throw new PylonError("MISSING_FIELD", `${entity.name}.${field.name} has no value.`, {
        field: field.name,
        hint: "Send the owner's id.",
      });
    }
  }
  return fields;
}
