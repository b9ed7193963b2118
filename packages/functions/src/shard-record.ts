/** Recording options of a shard: access and retention. */
export interface RecordRules {
  /**
   * Who, besides the admin, may list and download the recordings: the users who played in them,
   * every signed-in user, or only the admin. Default "players".
   */
  readonly access?: "players" | "everyone" | "admin";
  /**
   * Whether they may do so while the run continues, too. A recording contains the whole state,
   * including hidden parts, and the values that `step.random` returns next. Default false: access
   * begins after `step.finish` has ended the run.
   */
  readonly duringRun?: boolean;
  /** The maximum length of one recording, in minutes of play, up to 60. Default 10. */
  readonly minutes?: number;
  /** The number of days that a recording is kept, up to 365. Default 7. */
  readonly keepDays?: number;
  /**
   * The maximum number of recordings per shard, up to 1000; the oldest are deleted first. Default
   * 50.
   */
  readonly keep?: number;
}

/** The options with defaults applied. */
export type CompleteRecordRules = Required<RecordRules>;

const DEFAULTS: CompleteRecordRules = {
  access: "players",
  duringRun: false,
  minutes: 10,
  keepDays: 7,
  keep: 50,
};
const ACCESS: readonly unknown[] = ["players", "everyone", "admin"];
const MAXIMA = { minutes: 60, keepDays: 365, keep: 1000 } as const;

/**
 * Returns the recording options of a shard; null: it is not recorded.
 *
 * @example
 * const minutes = recordRulesOf({ minutes: 30 })?.minutes; // 30
 */
export function recordRulesOf(
  record: boolean | RecordRules | undefined,
): CompleteRecordRules | null {
  if (record === undefined || record === false) return null;
  return { ...DEFAULTS, ...(record === true ? {} : record) };
}

/** @throws TypeError that names the invalid option of `record` */
export function checkRecord({ record }: Readonly<Record<string, unknown>>): void {
  if (record === undefined || typeof record === "boolean") return;
  if (typeof record !== "object" || record === null || Array.isArray(record))
    throw new TypeError("record must be a boolean or an object of options.");
  const rules: Readonly<Record<string, unknown>> = { ...record };
  const unknown = Object.keys(rules).find((name) => !Object.hasOwn(DEFAULTS, name));
  if (unknown !== undefined)
    throw new TypeError(
      `record has no option "${unknown}": use ${Object.keys(DEFAULTS).join(", ")}.`,
    );
  if (rules["access"] !== undefined && !ACCESS.includes(rules["access"]))
    throw new TypeError('record.access must be "players", "everyone" or "admin".');
  if (rules["duringRun"] !== undefined && typeof rules["duringRun"] !== "boolean")
    throw new TypeError("record.duringRun must be true or false.");
  for (const [name, most] of Object.entries(MAXIMA)) {
    const value = rules[name];
    const isFit = Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most;
    if (value !== undefined && !isFit)
      throw new TypeError(`record.${name} must be a whole number from 1 to ${most}.`);
  }
}
