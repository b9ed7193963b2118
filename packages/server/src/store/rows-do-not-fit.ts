import { PylonStartError } from "../start-error.ts";

/** The error for a value that was written after the plan was made. */
export function notConvertible(
  entity: string,
  field: string,
  { id, reason }: { readonly id: string; readonly reason: string },
): PylonStartError {
  return new PylonStartError(
    `${entity}.${field} of the row "${id}" can't be converted to its new type: it ${reason}, ` +
      "so nothing was changed: see `pylon migrate plan`.",
  );
}

/** The error for rows that became equal after the plan was made, or by a conversion. */
export function notUnique(detail: string): PylonStartError {
  return new PylonStartError(
    `A unique index can't be created, because rows have the same values: ${detail} ` +
      "Change the values so that they differ, then start again.",
  );
}
