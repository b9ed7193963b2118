import type { TimeBucket, Value, ZoneOffset } from "../store.ts";

/** The bucket of a group of datetimes. */
export interface BucketSpec {
  readonly bucket: TimeBucket;
  /** The offsets of a time zone; absent: UTC. */
  readonly offsets?: readonly ZoneOffset[] | undefined;
}

type Parameter = (value: Value) => string;

/** The offset of local time from UTC in seconds, at the time in a column. */
function aheadOf(
  column: string,
  offsets: readonly ZoneOffset[],
  parameter: Parameter,
  type = "",
): string {
  const last = offsets.at(-1)?.seconds ?? 0;
  const parts = offsets.slice(0, -1).map(({ seconds }, index) => {
    const until = parameter(offsets[index + 1]?.from ?? null);
    return `WHEN ${column} < ${until} THEN ${parameter(seconds)}${type}`;
  });
  const otherwise = `${parameter(last)}${type}`;
  return parts.length === 0 ? otherwise : `(CASE ${parts.join(" ")} ELSE ${otherwise} END)`;
}

const SQLITE_BUCKETS: Record<TimeBucket, (moment: string) => string> = {
  hour: (moment) => `strftime('%Y-%m-%dT%H:00:00.000Z', ${moment})`,
  day: (moment) => `strftime('%Y-%m-%dT00:00:00.000Z', ${moment})`,
  // To the Monday: forward to the next Sunday (or the same day), then six days back.
  week: (moment) => `strftime('%Y-%m-%dT00:00:00.000Z', ${moment}, 'weekday 0', '-6 days')`,
  month: (moment) => `strftime('%Y-%m-01T00:00:00.000Z', ${moment})`,
  year: (moment) => `strftime('%Y-01-01T00:00:00.000Z', ${moment})`,
};

/** The start of the bucket in SQLite, as documented at `Dialect.bucket`. */
export function sqliteBucket(column: string, spec: BucketSpec, parameter: Parameter): string {
  const { bucket, offsets } = spec;
  if (offsets === undefined) return SQLITE_BUCKETS[bucket](column);
  const shift = `(${aheadOf(column, offsets, parameter)}) || ' seconds'`;
  const local = SQLITE_BUCKETS[bucket](`${column}, ${shift}`);
  if (bucket !== "hour") return local;
  const back = `(-${aheadOf(column, offsets, parameter)}) || ' seconds'`;
  return `strftime('%Y-%m-%dT%H:%M:%S.000Z', ${local}, ${back})`;
}

/** The same in Postgres, as a timestamp. A week in Postgres begins on Monday, as in ISO 8601. */
export function postgresBucket(column: string, spec: BucketSpec, parameter: Parameter): string {
  const { bucket, offsets } = spec;
  const utc = `${column} AT TIME ZONE 'UTC'`;
  if (offsets === undefined) return `date_trunc('${bucket}', ${utc})`;
  const ahead = (): string =>
    `make_interval(secs => ${aheadOf(column, offsets, parameter, "::float8")})`;
  const local = `date_trunc('${bucket}', (${utc}) + ${ahead()})`;
  return bucket === "hour" ? `(${local} - ${ahead()})` : local;
}
