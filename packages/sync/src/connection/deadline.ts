import { PylonClientError, unreachable } from "./errors.ts";
import type { Platform } from "../platform/platform.ts";

/** A timeout for work, independent of whether the network ever reports an error. */
export class Deadline {
  readonly #platform: Platform;
  readonly #passed: Promise<never>;
  #fail: (error: PylonClientError) => void = () => undefined;
  #cancel: () => void = () => undefined;
  /** Nothing is left to abort: the given signal, which may exist for long, keeps nothing of it. */
  readonly end: () => void;

  /**
   * @param given a signal that aborts it early
   * @param abort aborted when the time is up
   */
  constructor(
    platform: Platform,
    given: AbortSignal | undefined,
    abort: AbortController = new AbortController(),
  ) {
    this.#platform = platform;
    this.#passed = new Promise((_, reject) => {
      this.#fail = (error) => {
        reject(error);
        abort.abort();
      };
    });
    const giveUp = (): void => this.#fail(unreachable(given?.reason));
    if (given?.aborted === true) giveUp();
    else given?.addEventListener("abort", giveUp);
    this.end = () => given?.removeEventListener("abort", giveUp);
  }

  /** Sets a new timeout, in milliseconds, in place of the previous one. */
  within(ms: number): void {
    this.#cancel();
    this.#cancel = this.#platform.after(ms, () =>
      this.#fail(PylonClientError.ofClient("TIMED_OUT", "The server did not answer. Try again.")),
    );
  }

  /** @throws PylonClientError `TIMED_OUT`, or `UNREACHABLE` if it was aborted early */
  async hold<T>(work: Promise<T>): Promise<T> {
    try {
      return await Promise.race([work, this.#passed]);
    } finally {
      this.#cancel();
    }
  }
}

/** Waits for the work. @throws PylonClientError `TIMED_OUT` */
export function inTime<T>(platform: Platform, ms: number, work: Promise<T>): Promise<T> {
  const deadline = new Deadline(platform, undefined);
  deadline.within(ms);
  return deadline.hold(work);
}
