import type { Platform } from "./platform.ts";

/** The time within which a part of the page's code must load, in milliseconds. */
export const LOAD_MS = 20_000;

/**
 * Waits for code that is loaded. A network that neither delivers the code nor fails is a failure:
 * no timeout of a request runs before its code is there.
 *
 * @throws Error if it can't be loaded, or not in time
 */
export function inLoadTime<T>({ after }: Pick<Platform, "after">, loading: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = after(LOAD_MS, () => reject(new Error("The code has not arrived.")));
    loading.then(resolve, reject).finally(cancel);
  });
}
