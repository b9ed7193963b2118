import type { FieldKind } from "@pylonsync/query";
import type { TimeBucket } from "../store.ts";

/** What differs between the databases' SQL. */
export interface Dialect {
  readonly name: "sqlite" | "postgres";
  /** The placeholder of the nth parameter, from 1. */
  parameter(index: number): string;
  /** Whether `text` contains `part`, letter by letter. */
  contains(text: string, part: string): string;
  /** Whether `text` begins with `prefix`. */
  startsWith(text: string, prefix: string): string;
  /** The column as JSON shows it: for min, max and group keys. */
  shown(column: string, kind: FieldKind): string;
  /** The start of the bucket that a datetime column falls into, as ISO 8601 with milliseconds and Z. */
  bucket(column: string, bucket: TimeBucket): string;
}

const SQLITE_BUCKETS: Record<TimeBucket, (column: string) => string> = {
  hour: (column) => `strftime('%Y-%m-%dT%H:00:00.000Z', ${column})`,
  day: (column) => `strftime('%Y-%m-%dT00:00:00.000Z', ${column})`,
  // Back to the Monday: on to the next Sunday (or stay), then six days back.
  week: (column) => `strftime('%Y-%m-%dT00:00:00.000Z', ${column}, 'weekday 0', '-6 days')`,
  month: (column) => `strftime('%Y-%m-01T00:00:00.000Z', ${column})`,
  year: (column) => `strftime('%Y-01-01T00:00:00.000Z', ${column})`,
};

export const sqlite: Dialect = {
  name: "sqlite",
  parameter: () => "?",
  contains: (text, part) => `(instr(${text}, ${part}) > 0)`,
  startsWith: (text, prefix) => `(substr(${text}, 1, length(${prefix})) = ${prefix})`,
  shown: (column) => column,
  bucket: (column, bucket) => SQLITE_BUCKETS[bucket](column),
};
