import { PylonError } from "@pylonsync/protocol";

/** The error for a row with the same values in these fields as another row. */
export function uniqueViolation(fields: readonly string[]): PylonError {
  const field = fields.join(", ");
  return new PylonError("UNIQUE_VIOLATION", `Another row has the same ${field}.`, {
    field,
    hint: `Choose a ${field} that is not in use.`,
  });
}
