const FIRST_MS = 1_000;
const LONGEST_MS = 10 * 60_000;

/**
 * Returns how long to wait after a failed attempt, in milliseconds. The delay doubles with each
 * attempt, up to ten minutes; half of it is random, so that jobs that failed together are not
 * retried together.
 *
 * @param attempts the number of attempts so far, from 1
 * @param chance a random number from 0 to 1
 */
export function retryDelayMs(attempts: number, chance: number): number {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempts - 1, 30));
  return Math.round(longest / 2 + (longest / 2) * chance);
}
