/** The longest JSON that is shown: the browser is slow with longer texts. */
const MAX_JSON_CHARACTERS = 100_000;

/** Formats a value as JSON; the end of a long one is left out. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value, null, 2) ?? "undefined";
  if (text.length <= MAX_JSON_CHARACTERS) return text;
  const left = text.length - MAX_JSON_CHARACTERS;
  return `${text.slice(0, MAX_JSON_CHARACTERS)}\n… ${left.toLocaleString()} more characters`;
}

/** Formats a duration in milliseconds: `0.42 ms`, `31 ms`, `2.1 s`. */
export function durationText(ms: number): string {
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** A time in two formats. */
export interface TimeTexts {
  /** In UTC, for machines; undefined if it is not a time. */
  readonly iso: string | undefined;
  /** In the reader's time zone; what is not a time is shown as it is. */
  readonly local: string;
}

/** Formats a time. */
export function timeTexts(at: string | number): TimeTexts {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return { iso: undefined, local: String(at) };
  return {
    iso: date.toISOString(),
    local: date.toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" }),
  };
}
