import type { ManifestField } from "@pylonsync/sdk";
import { defaultsToNow } from "./mend-dates.ts";

/** The default of a string field that stands for a new UUID. */
const UUID = "uuid";

/** Whether the field's default is a new UUID; one of its own values is itself. */
export function defaultsToUuid({ type, default: value, enum: values }: ManifestField): boolean {
  return type === "string" && value === UUID && values === undefined;
}

/** Whether each insert gets a default of its own. */
export function isGenerated(field: ManifestField): boolean {
  return defaultsToNow(field) || defaultsToUuid(field);
}
