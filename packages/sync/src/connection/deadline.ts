import { PylonClientError } from "./errors.ts";
import type { Platform } from "../platform/platform.ts";

/** A timeout for work, independent of whether the network ever reports an error. */
export class Deadline {
  readonly #platform: Platform;
  readonly #abort = new AbortController();
  readonly #passed: Promise<never>;
  #fail: (error: PylonClientError) => void = () => undefined;
  #cancel: () => void = () => undefined;

  /** @param given a signal that aborts it early */
  constructor(platform: Platform, given: AbortSignal | undefined) {
    this.#platform = platform;
    this.#passed = new Promise((_, reject) => {
      this.#fail = (error) => {
        reject(error);
        this.#abort.abort();
      };
    });
    const giveUp = (): void => this.#fail(unreachable(given?.reason));
    if (given?.aborted === true) giveUp();
    else given?.addEventListener("abort", giveUp);
  }

  /** Aborted when the time is up. */
  get signal(): AbortSignal {
    return this.#abort.signal;
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

/**
 * The error shown to users when the network or the server is unavailable; the browser's message is
 * in `cause`.
 */
export function unreachable(cause: unknown): PylonClientError {
  return PylonClientError.ofClient("UNREACHABLE", "The server can't be reached. Try again.", cause);
}
