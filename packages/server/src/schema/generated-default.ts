import type { ManifestField } from "@pylonsync/sdk";
import { defaultsToNow } from "./datetime-defaults.ts";

/** The default of a string field that means a new UUID. */
const UUID = "uuid";

/**
 * Whether the field's default is a new UUID. In a field with an enum, the default "uuid" is that
 * value itself.
 */
export function defaultsToUuid({ type, default: value, enum: values }: ManifestField): boolean {
  return type === "string" && value === UUID && values === undefined;
}

/** Whether the default is generated at each insert. */
export function isGenerated(field: ManifestField): boolean {
  return defaultsToNow(field) || defaultsToUuid(field);
}
