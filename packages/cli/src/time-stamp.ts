/** A time in UTC as a part of a name that every file system accepts: `2026-01-31T23-59-59-999Z`. */
export function timeStamp(ms: number): string {
  return new Date(ms).toISOString().replaceAll(/[:.]/g, "-");
}
