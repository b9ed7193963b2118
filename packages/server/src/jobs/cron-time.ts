import { Cron } from "croner";

/**
 * Returns the next time of a schedule after a moment. A time that is skipped when the clocks go
 * forward becomes the moment after the gap; a time that occurs twice when they go back counts once.
 *
 * @param after milliseconds since 1970
 * @returns milliseconds since 1970, or null for a schedule without further times
 * @throws Error that states what is wrong with the schedule or the time zone
 */
export function nextTime(schedule: string, timezone: string, after: number): number | null {
  // Five or six fields: a seventh would be a year, which other crons do not support.
  const cron = new Cron(schedule, { timezone, mode: "5-or-6-parts", paused: true });
  return cron.nextRun(new Date(after))?.getTime() ?? null;
}
