import type { Platform, Timer } from "../../platform.ts";
import { errorText } from "../../util/errors.ts";

/** How often an idle runner looks for jobs of other replicas, in milliseconds. */
const POLL_MS = 1_000;

/** The dependencies of LookTimer. */
export interface LookTimerOptions {
  readonly platform: Pick<Platform, "now" | "after">;
  /** Looks for work. */
  readonly look: () => Promise<void>;
  /** Called with an error, but not again and again with the same one. */
  readonly onFailure: (error: unknown) => void;
}

/** Looks for work when it may be there, once at a time, and in any case every second. */
export class LookTimer {
  readonly #options: LookTimerOptions;
  #timer: Timer | undefined;
  #wakeAt = Infinity;
  #looking: Promise<void> | null = null;
  #mustLookAgain = false;
  #failures = 0;
  /** The error that was reported last, if there has been no look without an error since. */
  #failure: string | null = null;
  #isStopped = false;

  constructor(options: LookTimerOptions) {
    this.#options = options;
  }

  /** Whether there will be no more looks. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Looks at this time at the latest, in milliseconds since 1970. */
  wakeBy(at: number): void {
    if (this.#isStopped || at >= this.#wakeAt) return;
    this.#timer?.cancel();
    this.#wakeAt = at;
    const { platform } = this.#options;
    const ms = Math.max(0, at - platform.now());
    // No longer, because the clock may jump.
    this.#timer = platform.after(Math.min(ms, POLL_MS), () => this.#look()).unref();
  }

  /** Reports an error, but not again and again while the database is unavailable. */
  failed(error: unknown): void {
    this.#failures += 1;
    const text = errorText(error);
    if (text === this.#failure) return;
    this.#failure = text;
    this.#options.onFailure(error);
  }

  /** Ends the looks. Resolves when the current one is over. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#looking;
  }

  /** A call during a look causes another look after it. */
  #look(): void {
    this.#wakeAt = Infinity;
    if (this.#isStopped) return;
    if (this.#looking !== null) {
      this.#mustLookAgain = true;
      return;
    }
    const { platform, look } = this.#options;
    const failures = this.#failures;
    this.#looking = look()
      .catch((error: unknown) => this.failed(error))
      .finally(() => {
        this.#looking = null;
        if (this.#failures === failures) this.#failure = null;
        if (this.#mustLookAgain) {
          this.#mustLookAgain = false;
          this.#look();
        } else {
          this.wakeBy(platform.now() + POLL_MS);
        }
      });
  }
}
