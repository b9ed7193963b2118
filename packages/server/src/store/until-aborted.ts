import type { Cancellation } from "../util/cancellation.ts";

/** Settles like `work`, or rejects with the signal's reason if the signal aborts first. */
export function untilAborted<T>(work: Promise<T>, signal: Cancellation | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(
      (value) => {
        signal.removeEventListener("abort", onAbort);
        resolve(value);
      },
      (error: unknown) => {
        signal.removeEventListener("abort", onAbort);
        reject(error);
      },
    );
  });
}
