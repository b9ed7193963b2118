import type { SyncEngine } from "@pylonsync/sync";

/** How long nothing may change before the server is asked again, in milliseconds, */
const QUIET_MS = 150;
/** and how long at most it is waited for that, where something changes all the time. */
const MAX_WAIT_MS = 1_000;

/** What is asked again and again, and who is told. */
export interface RefresherOptions {
  readonly sync: SyncEngine;
  /** Its rows decide the answer. */
  readonly entity: string;
  readonly ask: () => Promise<unknown>;
  readonly onAnswer: (answer: unknown) => void;
  readonly onError: (error: Error) => void;
}

/**
 * Keeps an answer of the server in step with the rows that it is made of: asks again shortly after
 * they have changed, somebody else has signed in, or the connection is back. An older answer never
 * replaces a newer one.
 */
export class Refresher {
  readonly #options: RefresherOptions;
  #asked = 0;
  #isRunning = false;
  #cancel: (() => void) | null = null;
  #changedAt = 0;

  constructor(options: RefresherOptions) {
    this.#options = options;
  }

  /** @returns stops it */
  start(): () => void {
    const { sync, entity } = this.#options;
    this.#isRunning = true;
    this.refresh();
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

  /** Asks now. */
  refresh(): void {
    this.#wait(null);
    void this.#ask((this.#asked += 1));
  }

  async #ask(number: number): Promise<void> {
    const { ask, onAnswer, onError } = this.#options;
    const isLast = (): boolean => this.#isRunning && number === this.#asked;
    try {
      const answer = await ask();
      if (isLast()) onAnswer(answer);
    } catch (cause) {
      if (isLast()) onError(cause instanceof Error ? cause : new Error(String(cause)));
    }
  }

  #refreshSoon(): void {
    const { platform } = this.#options.sync;
    const now = platform.now();
    if (this.#cancel === null) this.#changedAt = now;
    const left = MAX_WAIT_MS - (now - this.#changedAt);
    this.#wait(platform.after(Math.max(0, Math.min(QUIET_MS, left)), () => this.refresh()));
  }

  #wait(cancel: (() => void) | null): void {
    this.#cancel?.();
    this.#cancel = cancel;
  }
}
