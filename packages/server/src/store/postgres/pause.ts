import { randomFraction, sleep, type Platform } from "../../platform.ts";

const PAUSES_MS = [20, 50, 100, 200, 400];
/**
 * The maximum number of immediate retries of work that fails because a pooler lost prepared
 * statements.
 */
export const MAX_QUICK_RETRIES: number = PAUSES_MS.length;

/**
 * Waits before another attempt: longer each time, up to 400 ms, with random jitter, so that
 * concurrent retries do not coincide.
 *
 * @param attempt the number of earlier attempts, from 0
 */
export function pause(platform: Platform, attempt: number): Promise<void> {
  const longest = PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)] ?? 0;
  return sleep(platform, longest * (0.5 + randomFraction(platform) / 2));
}
