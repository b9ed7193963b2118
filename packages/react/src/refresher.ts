import { PylonClientError, type SyncEngine } from "@pylonsync/sync";

/** The time without changes after which the server is queried again, in milliseconds. */
const QUIET_MS = 150;
/** The maximum delay during continuous changes, in milliseconds. */
const MAX_WAIT_MS = 1_000;

/**
 * The requests that changes may cause at once, and the time after which they may cause one more, in
 * milliseconds: rows that others change all the time must not use up the requests that a network
 * address may send (`PYLON_RATE_LIMIT_MAX`).
 */
const BURST = 10;
const ONE_MORE_MS = 5_000;

/** A repeated request and its callbacks. */
export interface RefresherOptions {
  readonly sync: SyncEngine;
  /** The entity whose changes repeat the request. */
  readonly entity: string;
  readonly ask: () => Promise<unknown>;
  /** Called with each response that differs from the previous one. */
  readonly onAnswer: (answer: unknown) => void;
  /** Returns the part of a response to compare; default: all of it. */
  readonly compared?: (answer: unknown) => unknown;
  readonly onError: (error: Error) => void;
}

/**
 * Keeps a response of the server up to date: repeats the request shortly after rows have changed,
 * another user has signed in, or the connection is back. An older response never replaces a newer
 * one.
 */
export class Refresher {
  readonly #options: RefresherOptions;
  #asked = 0;
  #isRunning = false;
  #cancel: (() => void) | null = null;
  #changedAt = 0;
  /** How many requests changes may cause, as of a time. */
  #credit = BURST;
  #creditAt = 0;
  /** The last reported response as JSON; null after an error or before the first response. */
  #told: string | null = null;

  constructor(options: RefresherOptions) {
    this.#options = options;
  }

  /**
   * Starts.
   *
   * @param delayMs the time until the first request
   * @returns a function that stops it
   */
  start(delayMs = 0): () => void {
    const { sync, entity } = this.#options;
    this.#isRunning = true;
    if (delayMs === 0) this.refresh();
    else this.#wait(sync.platform.after(delayMs, () => this.refresh()));
    let { connection } = sync.status;
    const stops = [
      sync.store.subscribe(entity, () => this.#refreshSoon()),
      sync.session.onChange(() => this.refresh()),
      sync.onStatus((status) => {
        const isBack = status.connection === "live" && connection === "offline";
        if (status.connection !== "connecting") ({ connection } = status);
        if (isBack) this.refresh();
      }),
    ];
    return () => {
      this.#isRunning = false;
      this.#wait(null);
      for (const stop of stops) stop();
    };
  }

  /** Sends the request now. */
  refresh(): void {
    this.#wait(null);
    void this.#ask((this.#asked += 1));
  }

  async #ask(number: number): Promise<void> {
    const { ask, onAnswer, onError, compared = (answer) => answer } = this.#options;
    const isLast = (): boolean => this.#isRunning && number === this.#asked;
    try {
      const answer = await ask();
      if (!isLast()) return;
      const text = JSON.stringify(compared(answer)) ?? "";
      if (text === this.#told) return;
      this.#told = text;
      onAnswer(answer);
    } catch (cause) {
      if (!isLast()) return;
      this.#told = null;
      onError(cause instanceof Error ? cause : new Error(String(cause)));
      if (cause instanceof PylonClientError && cause.retryAfter !== undefined)
        this.#refreshIn(cause.retryAfter * 1_000);
    }
  }

  /** Repeats a request that the server could not handle at the moment. */
  #refreshIn(ms: number): void {
    const { platform } = this.#options.sync;
    this.#changedAt = platform.now();
    // Many pages are told the same time.
    this.#wait(platform.after(ms * (1 + platform.random()), () => this.refresh()));
  }

  #refreshSoon(): void {
    const { platform } = this.#options.sync;
    const now = platform.now();
    if (this.#cancel === null) this.#changedAt = now;
    const left = MAX_WAIT_MS - (now - this.#changedAt);
    this.#credit = this.#creditAtTime(now);
    this.#creditAt = now;
    const untilAllowed = (1 - this.#credit) * ONE_MORE_MS;
    const ms = Math.max(0, Math.min(QUIET_MS, left), untilAllowed);
    this.#wait(platform.after(ms, () => this.#refreshForChange()));
  }

  #refreshForChange(): void {
    const now = this.#options.sync.platform.now();
    this.#credit = this.#creditAtTime(now) - 1;
    this.#creditAt = now;
    this.refresh();
  }

  #creditAtTime(now: number): number {
    return Math.min(BURST, this.#credit + (now - this.#creditAt) / ONE_MORE_MS);
  }

  #wait(cancel: (() => void) | null): void {
    this.#cancel?.();
    this.#cancel = cancel;
  }
}
