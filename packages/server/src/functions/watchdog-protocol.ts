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

/** The longest and the shortest time between two beats of the main thread, in milliseconds. */
const [MAX_BEAT_MS, MIN_BEAT_MS] = [1_000, 250];
/** The number of beats within the time limit. */
const BEATS_PER_LIMIT = 32;

/**
 * Returns the time between two beats of the main thread, in milliseconds; the watchdog looks half
 * as often. With the default limit that is one beat per second. Each beat and each look wakes a
 * thread whose code and data have left the processor's caches: four beats and two looks per second
 * were some percent of the CPU of an idle server.
 *
 * @param limitMs the time after which the main thread counts as blocked
 */
export function beatMsOf(limitMs: number): number {
  return Math.min(MAX_BEAT_MS, Math.max(MIN_BEAT_MS, limitMs / BEATS_PER_LIMIT));
}

/** The first message to the watchdog's thread. */
export interface WatchdogStart {
  readonly buffer: SharedArrayBuffer;
  readonly limitMs: number;
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
}
