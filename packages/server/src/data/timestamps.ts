import { isServerWritten, type Entity } from "../schema/schema.ts";
import type { StoredRow, Value } from "../store/store.ts";

/** Data without what the server alone writes, which a hook may hand on with the row. */
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
 * Stamps a change of a row. A row's stamp grows with each change, also where the clock was set back
 * or one transaction changes the row twice, so that it tells versions of the row apart.
 *
 * @param patch what changes; a stamp that it names stays as it is
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
