import { isServerWritten, type Entity } from "../schema/schema.ts";
import type { StoredRow, Value } from "../store/store.ts";

/**
 * Returns data without the fields that only the server writes, which a hook may have returned with
 * the row.
 */
export function withoutServerFields<V>(
  entity: Entity,
  values: Readonly<Record<string, V>>,
): Readonly<Record<string, V>> {
  if (!entity.hasServerFields) return values;
  return Object.fromEntries(
    Object.entries(values).filter(([name]) => {
      const field = entity.fields.get(name);
      return field === undefined || !isServerWritten(field);
    }),
  );
}

/**
 * Stamps a change of a row. A row's stamp increases with each change, even if the clock was set
 * back or one transaction changes the row twice, so that it identifies versions of the row.
 *
 * @param patch the changes; a stamp in it is kept
 * @param now milliseconds since 1970
 */
export function stamped(
  entity: Entity,
  before: StoredRow,
  patch: Record<string, Value>,
  now: number,
): Record<string, Value> {
  if (entity.updateStamps.length === 0 || Object.keys(patch).length === 0) return patch;
  const stamps = entity.updateStamps
    .filter((name) => !Object.hasOwn(patch, name))
    .map((name) => [name, new Date(Math.max(now, after(before[name]))).toISOString()] as const);
  return { ...patch, ...Object.fromEntries(stamps) };
}

function after(last: Value | undefined): number {
  return typeof last === "string" ? Date.parse(last) + 1 : -Infinity;
}
