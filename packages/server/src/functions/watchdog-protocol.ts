/**
 * The layout of the memory that the main thread and the watchdog share: two 32-bit integers, then
 * the running functions as UTF-8, one per line.
 */
export const WATCHDOG_SLOTS = { beat: 0, nameLength: 1, nameOffset: 8, bytes: 4096 } as const;

/** The prefix of a line with the name of a function. */
export const FUNCTION_LINE = "function ";

/**
 * The environment variable that tells the replacing process which functions may have blocked this
 * one, one per line.
 */
export const BLOCKED_BY = "_PYLON_BLOCKED_BY";

/** The first message to the watchdog's thread. */
export interface WatchdogStart {
  readonly buffer: SharedArrayBuffer;
  readonly limitMs: number;
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
}
