import type { Platform } from "../platform.ts";

/**
 * Returns a signal that is aborted in `ms` milliseconds, with a DOMException of the name
 * `TimeoutError`. It does not keep the process alive.
 */
export function timeoutSignal({ after }: Pick<Platform, "after">, ms: number): AbortSignal {
  const controller = new AbortController();
  after(ms, () => {
    controller.abort(new DOMException("The operation timed out.", "TimeoutError"));
  }).unref();
  return controller.signal;
}
