const FIRST_MS = 1_000;
const LONGEST_MS = 10 * 60_000;

/**
 * How long to wait after a failed attempt, in milliseconds: twice as long each time, ten minutes at
 * most, of which a half is chance, so that jobs that failed together do not come back together.
 *
 * @param attempts how often it was tried, from 1
 * @param chance from 0 to 1
 */
export function retryDelayMs(attempts: number, chance: number): number {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempts - 1, 30));
  return Math.round(longest / 2 + (longest / 2) * chance);
}
