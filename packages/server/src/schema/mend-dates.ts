import { normaliseDatetime, normaliseDecimal } from "@pylonsync/query";
import type { ManifestField } from "@pylonsync/sdk";

/** The default of a datetime field that stands for the time of the write. */
export const NOW = "now";

/** Ids that Pylon makes begin with twelve digits of milliseconds; see createIdFactory. */
const MADE_ID = /^[0-9a-f]{40}$/;
const TIME_DIGITS = 12;

/** Whether the field's default is the time of the write. */
export function defaultsToNow({ type, default: value }: ManifestField): boolean {
  return type === "datetime" && value === NOW;
}

/** The field's default in the form in which its values are stored. */
export function withNormalDefault<F extends ManifestField>(field: F): F {
  if (field.type === "decimal" && field.default !== undefined)
    return { ...field, default: normaliseDecimal(field.default) ?? field.default };
  if (field.type !== "datetime" || typeof field.default !== "string" || defaultsToNow(field))
    return field;
  return { ...field, default: normaliseDatetime(field.default) ?? field.default };
}

/**
 * A datetime as it must be stored, made of a text that an older version stored as it was: it did
 * not normalise defaults, and kept the word `now`.
 *
 * `now` becomes the time at which the row was made, as far as its id tells it, else the time of
 * the migration; so does a text that is not a date, where the field can't be null.
 *
 * @param now ISO 8601 with milliseconds and Z
 */
export function mendedDate(
  text: string,
  row: { readonly id: string; readonly optional: boolean },
  now: string,
): string | null {
  const normal = normaliseDatetime(text);
  if (normal !== undefined) return normal;
  return text !== NOW && row.optional ? null : timeOfId(row.id, now);
}

/** The time at which Pylon made the id; `now` for an id that somebody chose. */
function timeOfId(id: string, now: string): string {
  if (!MADE_ID.test(id)) return now;
  const time = Number.parseInt(id.slice(0, TIME_DIGITS), 16);
  return time <= Date.parse(now) ? new Date(time).toISOString() : now;
}
