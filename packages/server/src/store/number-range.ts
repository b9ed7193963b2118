import { PylonError } from "@pylonsync/protocol";
import type { Aggregate, Value } from "./store.ts";

/** An aggregate whose result no JSON number holds exactly. */
export function outOfRange(measure?: string): PylonError {
  return new PylonError(
    "INVALID_QUERY",
    `${measure === undefined ? "A result" : `"${measure}"`} is beyond what a number can hold.`,
    {
      ...(measure === undefined ? {} : { field: measure }),
      hint: "Add `where` or `groupBy`, so that each sum is of at most 2^53.",
    },
  );
}

/**
 * Refuses results that are only nearly right.
 *
 * @param isInt whether a field holds whole numbers
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
      if (typeof value !== "number") continue;
      if (isExact ? !Number.isSafeInteger(value) : !Number.isFinite(value)) throw outOfRange(as);
    }
  }
}
