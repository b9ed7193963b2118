import { Cron } from "croner";

/**
 * The next time of a schedule after a moment. Where the clocks go forward, a time that is left out
 * is the moment after the gap; where they go back, a time that comes twice counts once.
 *
 * @param after milliseconds since 1970
 * @returns milliseconds since 1970, or null for a schedule that has no more times
 * @throws Error that says what is wrong with the schedule or the time zone
 */
export function nextTime(schedule: string, timezone: string, after: number): number | null {
  // Five fields, or six: a seventh would be a year, which no other cron knows.
  const cron = new Cron(schedule, { timezone, mode: "5-or-6-parts", paused: true });
  return cron.nextRun(new Date(after))?.getTime() ?? null;
}
