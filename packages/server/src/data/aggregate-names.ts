import type { TimeBucket, Value } from "../store/store.ts";
import type { ParsedAggregate } from "./aggregate.ts";

type Result = Record<string, Value>;

const DAY_MS = 86_400_000;

/**
 * Adds the names that ported apps use for the same results: `count_distinct_field`, and for a
 * bucket `field_bucket` with its label. Results that already have such a name keep their value.
 */
export function withOtherNames(
  row: Result,
  { groupBy, measures }: Pick<ParsedAggregate, "groupBy" | "measures">,
): Result {
  const others: Result = {};
  for (const { fn, field, as } of measures)
    if (fn === "countDistinct") others[`count_distinct_${field}`] = row[as] ?? null;
  for (const { field, bucket, as } of groupBy)
    if (bucket !== undefined) others[`${field}_${bucket}`] = labelOf(bucket, row[as] ?? null);
  return { ...others, ...row };
}

/**
 * The label of the bucket, as charts show it: `2026-11-28 11:00:00`, `2026-11-28`, `2026-W47`,
 * `2026-11`, `2026`. Weeks are counted from the first Monday of the year.
 *
 * @param start ISO 8601
 */
function labelOf(bucket: TimeBucket, start: Value): Value {
  if (typeof start !== "string") return null;
  switch (bucket) {
    case "hour":
      return `${start.slice(0, 10)} ${start.slice(11, 13)}:00:00`;
    case "day":
      return start.slice(0, 10);
    case "week": {
      const year = start.slice(0, 4);
      const days = (Date.parse(start) - Date.parse(`${year}-01-01T00:00:00.000Z`)) / DAY_MS;
      return `${year}-W${String(Math.floor(days / 7) + 1).padStart(2, "0")}`;
    }
    case "month":
      return start.slice(0, 7);
    case "year":
      return start.slice(0, 4);
  }
}
