import { PylonError } from "@pylonsync/protocol";
import { normaliseDecimal } from "@pylonsync/query";
import type { Aggregate, Value } from "./store.ts";

/** The error for an aggregate whose result can't be represented exactly as a JSON number. */
export function outOfRange(measure?: string): PylonError {
  return new PylonError(
    "INVALID_QUERY",
    `${measure === undefined ? "A result" : `"${measure}"`} is too large for a number.`,
    {
      ...(measure === undefined ? {} : { field: measure }),
      hint:
        "Add `where` or `groupBy`, so that each sum is at most 2^53, " +
        "and each sum of decimals below 10^18.",
    },
  );
}

/**
 * Rejects results that are not exact or not finite.
 *
 * @param isInt whether a field contains whole numbers
 * @throws PylonError INVALID_QUERY
 */
export function checkRange(
  rows: readonly Readonly<Record<string, Value>>[],
  measures: Aggregate["measures"],
  isInt: (field: string) => boolean,
): void {
  for (const { fn, field, as } of measures) {
    const isExact = fn === "sum" && field !== undefined && isInt(field);
    for (const row of rows) {
      const value = row[as];
      if (typeof value === "string" && fn === "sum" && normaliseDecimal(value) === undefined)
        throw outOfRange(as);
      if (typeof value !== "number") continue;
      if (isExact ? !Number.isSafeInteger(value) : !Number.isFinite(value)) throw outOfRange(as);
    }
  }
}
