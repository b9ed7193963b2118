import { parseArgs } from "@pylonsync/functions";
import { PylonError } from "@pylonsync/protocol";
import { nearest } from "@pylonsync/query";
import type { ManifestCron } from "@pylonsync/sdk";
import type { Functions } from "../functions/call.ts";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";
import { nextTime } from "./cron-time.ts";
import { callOf } from "./crons.ts";

/** The name is part of the key that finds overlapping calls. */
const MAX_NAME_LENGTH = 256;

/**
 * Returns the errors of the crons of an app that could never run: an unknown function, arguments
 * that it rejects, an invalid schedule.
 */
export function checkCrons(crons: readonly ManifestCron[], functions: Functions): Diagnostic[] {
  return crons.flatMap((cron, index) => {
    const place = `crons[${index}]`;
    return [
      ...checkName(cron, crons, place),
      ...checkFunction(cron, functions, place),
      ...checkArgs(cron, functions, place),
      ...checkSchedule(cron, place),
    ];
  });
}

function checkName(
  { name }: ManifestCron,
  crons: readonly ManifestCron[],
  place: string,
): Diagnostic[] {
  if (!isUsableName(name))
    return [
      errorAt(
        "CRON_INVALID",
        `The name of a cron must have 1 to ${MAX_NAME_LENGTH} characters, without NUL.`,
        `${place}.name`,
        'Use a descriptive name, such as "clean-up".',
      ),
    ];
  if (crons.filter((other) => other.name === name).length === 1) return [];
  return [
    errorAt(
      "CRON_INVALID",
      `Two crons are named "${name}".`,
      `${place}.name`,
      "The name identifies the runs of a cron: give each cron a different name.",
    ),
  ];
}

function isUsableName(name: string): boolean {
  const { length } = name;
  return length > 0 && length <= MAX_NAME_LENGTH && name.isWellFormed() && !name.includes("\0");
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
      `The cron "${name}" calls the function "${called}", which does not exist.`,
      `${place}.function`,
      meant === undefined
        ? `Write functions/${called.replaceAll(".", "/")}.ts.`
        : `Did you mean "${meant}"?`,
    ),
  ];
}

function checkArgs(cron: ManifestCron, functions: Functions, place: string): Diagnostic[] {
  const definition = functions.get(cron.function);
  if (definition === undefined || !isUsableName(cron.name)) return [];
  try {
    callOf(cron, () => 0, true);
    parseArgs(definition, cron.args ?? {});
    return [];
  } catch (error) {
    if (!(error instanceof PylonError)) throw error;
    return [
      errorAt(
        "CRON_INVALID",
        `"${cron.function}" can't be called with the args of the cron "${cron.name}": ` +
          `${error.message}.`,
        `${place}.args`,
        `Set the args that functions/${cron.function}.ts declares.`,
      ),
    ];
  }
}

function checkSchedule(
  { name, schedule, timezone = "UTC" }: ManifestCron,
  place: string,
): Diagnostic[] {
  if (!isTimezone(timezone))
    return [
      errorAt(
        "CRON_INVALID",
        `The cron "${name}" has the unknown time zone "${timezone}".`,
        `${place}.timezone`,
        "Use an IANA name such as Europe/Berlin or America/New_York.",
      ),
    ];
  try {
    if (nextTime(schedule, timezone, 0) !== null) return [];
  } catch (error) {
    return [scheduleError(name, place, error instanceof Error ? error.message : String(error))];
  }
  return [scheduleError(name, place, "it never matches")];
}

function scheduleError(name: string, place: string, reason: string): Diagnostic {
  return errorAt(
    "CRON_INVALID",
    `The schedule of the cron "${name}" is not valid: ${reason}.`,
    `${place}.schedule`,
    'Use minute, hour, day, month and weekday, such as "0 8 * * MON-FRI".',
  );
}

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).format(0) !== "";
  } catch {
    return false;
  }
}
