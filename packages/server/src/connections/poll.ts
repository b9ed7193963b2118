import { LIVE_POLL_LEASE_MS, LIVE_POLL_MS } from "@pylonsync/protocol";
import type { Platform, Timer } from "../platform.ts";
import type { Outlet } from "./subscriber.ts";

/** A client that polls, as an Outlet: messages are queued until its next poll. */
export class PollOutlet implements Outlet {
  readonly transport = "poll";
  readonly topics = null;
  readonly #platform: Platform;
  readonly #onEnd: () => void;
  #texts: string[] = [];
  #bytes = 0;
  #answer: (() => void) | null = null;
  #isScheduled = false;
  #isClosed = false;
  #waiting: (() => void)[] = [];
  #timer: Timer;

  /** @param onEnd called once, when it was closed or the client no longer polls */
  constructor(platform: Platform, onEnd: () => void) {
    this.#platform = platform;
    this.#onEnd = onEnd;
    this.#timer = this.#lease();
  }

  write(text: string): number {
    if (this.#isClosed) return 0;
    this.#texts.push(text);
    this.#bytes += text.length;
    if (this.#answer !== null && !this.#isScheduled) {
      this.#isScheduled = true;
      // Messages of one turn of the event loop are sent together.
      this.#platform.soon(() => {
        this.#isScheduled = false;
        this.#answer?.();
      });
    }
    return this.#bytes;
  }

  /**
   * Waits until there are messages. A poll that is already waiting is answered, because its client
   * has abandoned it.
   *
   * @returns the messages, each as JSON
   */
  async poll(): Promise<readonly string[]> {
    this.#answer?.();
    this.#timer.cancel();
    if (this.#texts.length === 0 && !this.#isClosed)
      await new Promise<void>((resolve) => {
        const answer = (): void => {
          timer.cancel();
          if (this.#answer === answer) this.#answer = null;
          resolve();
        };
        const timer = this.#platform.after(LIVE_POLL_MS, answer);
        this.#answer = answer;
      });
    return this.take();
  }

  /** Takes the queued messages, which are not sent again. */
  take(): readonly string[] {
    const texts = this.#texts;
    this.#texts = [];
    this.#bytes = 0;
    this.#timer.cancel();
    if (!this.#isClosed && this.#answer === null) this.#timer = this.#lease();
    this.#release();
    return texts;
  }

  queued(): number {
    return this.#isClosed ? 0 : this.#bytes;
  }

  drained(): Promise<void> {
    if (this.queued() === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** There are no close codes: the next poll finds no connection, and the client opens another. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer.cancel();
    this.#answer?.();
    this.#release();
    this.#onEnd();
  }

  terminate(): void {
    this.close();
  }

  #lease(): Timer {
    return this.#platform.after(LIVE_POLL_LEASE_MS, () => this.close()).unref();
  }

  #release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
