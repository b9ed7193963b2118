import { nearest } from "@pylonsync/query";
import type { ManifestCron } from "@pylonsync/sdk";
import type { Functions } from "../functions/runner.ts";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";
import { nextTime } from "./cron-time.ts";

/** What of an app's crons could never run: an unknown function, a schedule that is not one. */
export function checkCrons(crons: readonly ManifestCron[], functions: Functions): Diagnostic[] {
  return crons.flatMap((cron, index) => {
    const place = `crons[${index}]`;
    return [
      ...checkName(cron, crons, place),
      ...checkFunction(cron, functions, place),
      ...checkSchedule(cron, place),
    ];
  });
}

function checkName(
  { name }: ManifestCron,
  crons: readonly ManifestCron[],
  place: string,
): Diagnostic[] {
  if (crons.filter((other) => other.name === name).length === 1) return [];
  return [
    errorAt(
      "CRON_INVALID",
      `Two crons are named "${name}".`,
      `${place}.name`,
      "The name tells which times are over: give each its own.",
    ),
  ];
}

function checkFunction(
  { name, function: called }: ManifestCron,
  functions: Functions,
  place: string,
): Diagnostic[] {
  if (functions.has(called)) return [];
  const meant = nearest(called, [...functions.keys()]);
  return [
    errorAt(
      "CRON_INVALID",
      `The cron "${name}" calls "${called}", and there is no such function.`,
      `${place}.function`,
      meant === undefined ? `Write functions/${called}.ts.` : `Did you mean "${meant}"?`,
    ),
  ];
}

function checkSchedule(
  { name, schedule, timezone = "UTC" }: ManifestCron,
  place: string,
): Diagnostic[] {
  if (!isTimezone(timezone))
    return [
      errorAt(
        "CRON_INVALID",
        `The cron "${name}" has the time zone "${timezone}", which is not known.`,
        `${place}.timezone`,
        "Use an IANA name such as Europe/Berlin or America/New_York.",
      ),
    ];
  try {
    if (nextTime(schedule, timezone, 0) !== null) return [];
  } catch (error) {
    return [scheduleError(name, place, error instanceof Error ? error.message : String(error))];
  }
  return [scheduleError(name, place, "no time ever meets it")];
}

function scheduleError(name: string, place: string, reason: string): Diagnostic {
  return errorAt(
    "CRON_INVALID",
    `The schedule of the cron "${name}" can't be used: ${reason}.`,
    `${place}.schedule`,
    'Write minute, hour, day, month and weekday, such as "0 8 * * MON-FRI".',
  );
}

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).format(0) !== "";
  } catch {
    return false;
  }
}
