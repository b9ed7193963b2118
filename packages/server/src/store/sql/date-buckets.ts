import type { TimeBucket } from "../store.ts";

// Dates are texts. A column may contain other texts, from before it was declared as a date, and
// Postgres fails for those: only a text in the format of a date is converted, by a calculation that
// fails for none of them.

/** The first of the month in a text in the format of a date. */
const monthOf = (column: string): string => `substr(${column}, 1, 7) || '-01'`;
const yearOf = (column: string): string => `substr(${column}, 1, 4) || '-01-01'`;
/** The days since the first of the month, as a text. */
const daysIn = (column: string): string => `substr(${column}, 9, 2)`;

/** The start of the bucket in SQLite, as documented at `Dialect.dateBucket`. */
export function sqliteDateBucket(column: string, bucket: TimeBucket): string {
  const isDate =
    `${column} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]' AND ${column} >= '0001' ` +
    `AND substr(${column}, 6, 2) BETWEEN '01' AND '12' AND ${daysIn(column)} BETWEEN '01' AND '31'`;
  return `CASE WHEN ${isDate} THEN ${startOf(column, bucket, sqliteWeek)} END`;
}

/** To the Monday: forward to the next Sunday (or the same day), then six days back. */
function sqliteWeek(column: string): string {
  const days = `(${daysIn(column)} - 1) || ' days'`;
  return `date(${monthOf(column)}, ${days}, 'weekday 0', '-6 days')`;
}

/** The same in Postgres. */
export function postgresDateBucket(column: string, bucket: TimeBucket): string {
  const format = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$";
  const isDate = `${column} ~ '${format}' AND ${column} >= '0001'`;
  return `CASE WHEN ${isDate} THEN ${startOf(column, bucket, postgresWeek)} END`;
}

function postgresWeek(column: string): string {
  const day = `((${monthOf(column)})::date + (${daysIn(column)}::int - 1))`;
  return `to_char(date_trunc('week', ${day}::timestamp), 'YYYY-MM-DD')`;
}

function startOf(column: string, bucket: TimeBucket, weekOf: (column: string) => string): string {
  switch (bucket) {
    case "month":
      return monthOf(column);
    case "year":
      return yearOf(column);
    case "week":
      return weekOf(column);
    case "day":
    case "hour":
      return column;
  }
}
