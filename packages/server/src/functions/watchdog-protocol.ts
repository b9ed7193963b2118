/**
 * Where things are in the memory that the main thread and the watchdog share: two 32-bit counters,
 * then what runs, as UTF-8, in a line each.
 */
export const WATCHDOG_SLOTS = { beat: 0, nameLength: 1, nameOffset: 8, bytes: 4096 } as const;

/** How a line begins that names a function. */
export const FUNCTION_LINE = "function ";

/**
 * Tells the process that the watchdog starts in place of this one which functions may have held it
 * up, in a line each.
 */
export const BLOCKED_BY = "_PYLON_BLOCKED_BY";

/** The first message to the watchdog's thread. */
export interface WatchdogStart {
  readonly buffer: SharedArrayBuffer;
  readonly limitMs: number;
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
}
