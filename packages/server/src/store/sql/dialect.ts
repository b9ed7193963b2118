import { caseVariants, type FieldKind } from "@pylonsync/query";
import type { TimeBucket, Value } from "../store.ts";
import { postgresDateBucket, sqliteDateBucket } from "./date-buckets.ts";
import { postgresBucket, sqliteBucket, type BucketSpec } from "./time-buckets.ts";
import { postgresMembers, sqliteMembers, type JsonMembers } from "./json-members.ts";
import { decimalKey, keyMean, keySum } from "./decimal-key.ts";

/** The differences between the SQL dialects of the databases. */
export interface Dialect {
  readonly name: "sqlite" | "postgres";
  /** The placeholder of the nth parameter, from 1. */
  parameter(index: number): string;
  /** Whether `text` contains `part`, case-sensitively. */
  contains(text: string, part: string): string;
  /** Whether `text` begins with `prefix`. */
  startsWith(text: string, prefix: string): string;
  /** Whether `text` ends with `suffix`. */
  endsWith(text: string, suffix: string): string;
  /** Whether `text` contains a part, case-insensitively. */
  readonly containsFolded: FoldedSearch;
  /** The column, or its min or max, in the form used in JSON. */
  shown(column: string, kind: FieldKind): string;
  /** A count, as a number that JavaScript can represent. */
  count(what: string): string;
  /** Access to the values inside of json and arrays. */
  readonly json: JsonMembers;
  /** A decimal in the form in which a column stores it. */
  decimal(value: string): string;
  /** The sum or mean of a column of numbers. A sum of ints is exact, or out of range. */
  total(fn: "sum" | "avg", column: string, kind: FieldKind): string;
  /**
   * The start of the bucket that contains a datetime column's value, as ISO 8601 with milliseconds
   * and Z: in a time zone as documented at `Aggregate.groupBy`.
   */
  bucket(column: string, spec: BucketSpec, parameter: (value: Value) => string): string;
  /**
   * The start of the bucket that contains a text column's date, as a date; null for a text that is
   * not a date.
   */
  dateBucket(column: string, bucket: TimeBucket): string;
}

/**
 * A case-insensitive search. Databases differ in which letters are two cases of one, so the pattern
 * lists the alternatives for each letter.
 */
export interface FoldedSearch {
  /** The pattern for a search text; passed to `test` as a parameter. */
  pattern(part: string): string;
  test(text: string, pattern: string): string;
}

/** The special characters of GLOB. `[` begins a set, in which all of them are literal. */
const GLOB_SPECIAL = /[*?[]/;
/** ASCII punctuation, which a backslash makes literal in a Postgres regular expression. */
const ASCII_PUNCTUATION = /[!-/:-@[-^`{-~]/;

function foldedPattern(part: string, plain: (letter: string) => string): string {
  return Array.from(part, (letter) => {
    const variants = caseVariants(letter);
    return variants.length === 1 ? plain(letter) : `[${variants.join("")}]`;
  }).join("");
}

/** The SQL of SQLite. */
export const sqlite: Dialect = {
  name: "sqlite",
  parameter: () => "?",
  contains: (text, part) => `(instr(${text}, ${part}) > 0)`,
  startsWith: (text, prefix) => `(substr(${text}, 1, length(${prefix})) = ${prefix})`,
  // If the suffix is longer, the position lies before the text, and the substring is too short.
  endsWith: (text, suffix) =>
    `(substr(${text}, length(${text}) - length(${suffix}) + 1) = ${suffix})`,
  containsFolded: {
    pattern: (part) =>
      `*${foldedPattern(part, (letter) => (GLOB_SPECIAL.test(letter) ? `[${letter}]` : letter))}*`,
    test: (text, pattern) => `(${text} GLOB ${pattern})`,
  },
  shown: (column) => column,
  count: (what) => `count(${what})`,
  json: sqliteMembers,
  decimal: decimalKey,
  total: (fn, column, kind) => {
    if (kind === "decimal") return fn === "sum" ? keySum(column) : keyMean(column);
    return fn === "sum" && kind === "int" ? `sum(${column})` : `${fn}(CAST(${column} AS REAL))`;
  },
  bucket: sqliteBucket,
  dateBucket: sqliteDateBucket,
};

/** ISO 8601 in UTC with milliseconds and Z. */
const postgresTime = (time: string): string => `to_char(${time}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/**
 * Text columns are declared with `COLLATE "C"`, so that they are ordered by code point, as in
 * SQLite and in compareValues.
 */
export const postgres: Dialect = {
  name: "postgres",
  parameter: (index) => `$${index}`,
  contains: (text, part) => `(strpos(${text}, ${part}) > 0)`,
  startsWith: (text, prefix) => `starts_with(${text}, ${prefix})`,
  endsWith: (text, suffix) => `(right(${text}, length(${suffix})) = ${suffix})`,
  containsFolded: {
    pattern: (part) =>
      foldedPattern(part, (letter) => (ASCII_PUNCTUATION.test(letter) ? `\\${letter}` : letter)),
    test: (text, pattern) => `(${text} ~ ${pattern})`,
  },
  shown: (column, kind) =>
    kind === "datetime"
      ? postgresTime(`${column} AT TIME ZONE 'UTC'`)
      : kind === "int"
        ? `${column}::float8`
        : column,
  count: (what) => `count(${what})::float8`,
  json: postgresMembers,
  decimal: (value) => value,
  total: (fn, column, kind) => {
    if (kind === "decimal") return fn === "sum" ? `sum(${column})` : `avg(${column})::float8`;
    return fn === "sum" && kind === "int" ? `sum(${column})::float8` : `${fn}(${column}::float8)`;
  },
  bucket: (column, spec, parameter) => postgresTime(postgresBucket(column, spec, parameter)),
  dateBucket: postgresDateBucket,
};
