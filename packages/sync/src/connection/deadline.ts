import { PylonClientError } from "./errors.ts";
import type { Platform } from "../platform/platform.ts";

/**
 * How long something may take: it is given up in time, whether or not the network ever says that
 * anything is wrong.
 */
export class Deadline {
  readonly #platform: Platform;
  readonly #abort = new AbortController();
  readonly #passed: Promise<never>;
  #fail: (error: PylonClientError) => void = () => undefined;
  #cancel: () => void = () => undefined;

  /** @param given gives it up from outside */
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

  /** Something has to happen within this time, in milliseconds, in place of the time before. */
  within(ms: number): void {
    this.#cancel();
    this.#cancel = this.#platform.after(ms, () =>
      this.#fail(PylonClientError.ofClient("TIMED_OUT", "The server did not answer. Try again.")),
    );
  }

  /** @throws PylonClientError `TIMED_OUT`, or `UNREACHABLE` when it was given up from outside */
  async hold<T>(work: Promise<T>): Promise<T> {
    try {
      return await Promise.race([work, this.#passed]);
    } finally {
      this.#cancel();
    }
  }
}

/**
 * What people read where the network or the server is gone; the browser's own words are in `cause`.
 */
export function unreachable(cause: unknown): PylonClientError {
  return PylonClientError.ofClient("UNREACHABLE", "The server can't be reached. Try again.", cause);
}
