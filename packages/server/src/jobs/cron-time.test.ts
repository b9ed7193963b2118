import { expect, test } from "bun:test";
import { nextTime } from "./cron-time.ts";

/** Returns the next times of a schedule, as ISO 8601. */
function times(schedule: string, timezone: string, after: string, count: number): string[] {
  const found: string[] = [];
  let last = Date.parse(after);
  for (let index = 0; index < count; index += 1) {
    const next = nextTime(schedule, timezone, last);
    if (next === null) break;
    found.push(new Date(next).toISOString().replace(".000Z", "Z"));
    last = next;
  }
  return found;
}

test("five fields, six with seconds, names and short forms", () => {
  expect(times("0 8 * * MON-FRI", "UTC", "2026-11-27T09:00:00Z", 2)).toEqual([
    "2026-11-30T08:00:00Z",
    "2026-12-01T08:00:00Z",
  ]);
  expect(times("*/20 * * * * *", "UTC", "2026-01-01T00:00:01Z", 3)).toEqual([
    "2026-01-01T00:00:20Z",
    "2026-01-01T00:00:40Z",
    "2026-01-01T00:01:00Z",
  ]);
  expect(times("@monthly", "UTC", "2026-01-15T00:00:00Z", 1)).toEqual(["2026-02-01T00:00:00Z"]);
  // The classic rule: a day of the month or a day of the week.
  expect(times("0 0 13 * FRI", "UTC", "2026-11-01T00:00:00Z", 3)).toEqual([
    "2026-11-06T00:00:00Z",
    "2026-11-13T00:00:00Z",
    "2026-11-20T00:00:00Z",
  ]);
});

test("a leap day occurs only in leap years", () => {
  expect(times("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 2)).toEqual([
    "2028-02-29T00:00:00Z",
    "2032-02-29T00:00:00Z",
  ]);
});

test("a time that the clocks skip becomes the moment after the gap", () => {
  // On 2026-03-29 in Berlin 02:00 is followed by 03:00.
  expect(times("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2)).toEqual([
    "2026-03-29T01:00:00Z",
    "2026-03-30T00:30:00Z",
  ]);
});

test("a time that occurs twice counts once", () => {
  // On 2026-10-25 in Berlin 02:30 is at 00:30 and at 01:30 UTC.
  expect(times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2)).toEqual([
    "2026-10-25T00:30:00Z",
    "2026-10-26T01:30:00Z",
  ]);
});

test("an invalid schedule, or one that never matches, is an error", () => {
  for (const schedule of ["", "* * *", "61 * * * *", "* * * * * * *", "soon"])
    expect(() => nextTime(schedule, "UTC", 0)).toThrow();
  expect(nextTime("0 0 31 2 *", "UTC", 0)).toBeNull();
});
