/**
 * Where things are in the memory that the main thread and the watchdog share: two 32-bit counters,
 * then the name as UTF-8.
 */
export const WATCHDOG_SLOTS = { beat: 0, nameLength: 1, nameOffset: 8, bytes: 256 } as const;

/** The first message to the watchdog's thread. */
export interface WatchdogStart {
  readonly buffer: SharedArrayBuffer;
  readonly limitMs: number;
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
}
