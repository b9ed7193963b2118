import { PylonError } from "@pylonsync/protocol";

/** The refusal of a row whose values in these fields another row has. */
export function uniqueViolation(fields: readonly string[]): PylonError {
  const field = fields.join(", ");
  return new PylonError("UNIQUE_VIOLATION", `Another row has the same ${field}.`, {
    field,
    hint: `Choose a ${field} that is not in use.`,
  });
}
