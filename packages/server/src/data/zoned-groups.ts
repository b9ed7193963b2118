import { PylonError } from "@pylonsync/protocol";
import type { Aggregate, Reader, Value } from "../store/store.ts";
import type { Group } from "./aggregate.ts";
import { localOf, MAX_ZONE_YEARS, momentOf } from "./time-zone.ts";

type StoreGroup = Aggregate["groupBy"][number];

/**
 * Returns the groups in the form that a store accepts: with the offsets of a time zone between the
 * first and the last moment of the rows. Databases have different time zone data from the server,
 * or none.
 *
 * @throws PylonError INVALID_QUERY if there are too many years between them
 */
export async function withOffsets(
  reader: Reader,
  rows: Pick<Aggregate, "entity" | "where">,
  groups: readonly Group[],
): Promise<StoreGroup[]> {
  const found: StoreGroup[] = [];
  for (const [index, { zone, ...group }] of groups.entries()) {
    if (zone === undefined) {
      found.push(group);
      continue;
    }
    const { field } = group;
    const ends = (["min", "max"] as const).map((fn) => ({ fn, field, as: fn }));
    const [row] = await reader.aggregate({ ...rows, groupBy: [], measures: ends });
    const [first, last] = [row?.["min"], row?.["max"]];
    const isEmpty = typeof first !== "string" || typeof last !== "string";
    const offsets = isEmpty ? [] : zone.offsets(first, last);
    if (offsets === undefined)
      throw new PylonError(
        "INVALID_QUERY",
        `At most ${MAX_ZONE_YEARS} years can be grouped in a time zone.`,
        {
          field: `groupBy[${index}].timeZone`,
          hint: "Restrict the rows with where, or group in UTC.",
        },
      );
    found.push({ ...group, offsets });
  }
  return found;
}

/** The local starts of a result's buckets, from which their labels are made. */
export function localBuckets(
  row: Readonly<Record<string, Value>>,
  groups: readonly StoreGroup[],
): Record<string, Value> {
  return mapped(row, groups, (start, { bucket, offsets = [] }) =>
    bucket === "hour" ? localOf(start, offsets) : start,
  );
}

/** The moments at which a result's buckets begin. */
export function bucketMoments(
  row: Readonly<Record<string, Value>>,
  groups: readonly StoreGroup[],
): Record<string, Value> {
  return mapped(row, groups, (start, { bucket, offsets = [] }) =>
    bucket === "hour" ? start : momentOf(start, offsets),
  );
}

function mapped(
  row: Readonly<Record<string, Value>>,
  groups: readonly StoreGroup[],
  map: (start: string, group: StoreGroup) => string,
): Record<string, Value> {
  const changed = groups.flatMap((group): [string, Value][] => {
    const start = row[group.as];
    return group.offsets === undefined || typeof start !== "string"
      ? []
      : [[group.as, map(start, group)]];
  });
  return { ...row, ...Object.fromEntries(changed) };
}
