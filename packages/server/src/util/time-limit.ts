import type { Platform } from "../platform.ts";

/**
 * Waits for the work to settle, but at most `ms` milliseconds. The work itself continues.
 *
 * @returns whether it has settled
 * @throws what the work throws in that time
 */
export async function settledWithin(
  { after }: Pick<Platform, "after">,
  work: Promise<unknown>,
  ms: number,
): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = after(ms, () => resolve(false));
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    timer.cancel();
  }
}

/**
 * Returns the work's result if it settles within `ms` milliseconds. The work itself continues.
 *
 * @throws what the work throws, or the error that `onTimeout` creates
 */
export async function withTimeout<T>(
  { after }: Pick<Platform, "after">,
  work: () => Promise<T>,
  ms: number,
  onTimeout: () => Error,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = after(ms, () => reject(onTimeout()));
  try {
    return await Promise.race([work(), late]);
  } finally {
    timer.cancel();
  }
}
