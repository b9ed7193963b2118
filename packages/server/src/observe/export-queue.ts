import { settledWithin } from "../util/time-limit.ts";
import type { Platform, Timer } from "../platform.ts";

/** What a queue sends to, and when. */
export interface ExportQueueOptions<T> {
  /** Sends a batch. Must settle by itself in bounded time. */
  readonly send: (items: T[]) => Promise<void>;
  /** How long an item waits for others, in milliseconds. */
  readonly delayMs: number;
  readonly onFailure: (error: unknown) => void;
  readonly platform: Pick<Platform, "after">;
}

const MAX_WAITING = 4096;
const MAX_BATCH = 512;

/**
 * What waits to be exported: bounded, in batches, one after another. What does not fit is dropped
 * and counted, never waited for.
 */
export class ExportQueue<T> {
  readonly #options: ExportQueueOptions<T>;
  #waiting: T[] = [];
  #timer: Timer | null = null;
  #sending: Promise<void> | null = null;
  #isClosed = false;
  /** Items that found no room, or could not be sent. */
  dropped = 0;
  sent = 0;

  constructor(options: ExportQueueOptions<T>) {
    this.#options = options;
  }

  get isFull(): boolean {
    return this.#waiting.length >= MAX_WAITING;
  }

  add(item: T): void {
    if (this.#isClosed || this.isFull) {
      this.dropped += 1;
      return;
    }
    this.#waiting.push(item);
    if (this.#sending !== null) return;
    if (this.#waiting.length >= MAX_BATCH) void this.#send();
    else this.#sendLater();
  }

  /**
   * Answers when everything that waits was tried, or after `withinMs` milliseconds; takes nothing
   * more.
   */
  async close(withinMs: number): Promise<void> {
    this.#isClosed = true;
    const all = async (): Promise<void> => {
      while (this.#waiting.length > 0 || this.#sending !== null)
        await (this.#sending ?? this.#send());
    };
    await settledWithin(this.#options.platform, all(), withinMs);
    this.#timer?.cancel();
  }

  #sendLater(): void {
    const { delayMs, platform } = this.#options;
    this.#timer ??= platform.after(delayMs, () => void this.#send()).unref();
  }

  #send(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    this.#sending ??= this.#sendBatch().finally(() => {
      this.#sending = null;
      if (this.#waiting.length >= MAX_BATCH) void this.#send();
      else if (this.#waiting.length > 0) this.#sendLater();
    });
    return this.#sending;
  }

  async #sendBatch(): Promise<void> {
    const batch =
      this.#waiting.length <= MAX_BATCH ? this.#waiting : this.#waiting.slice(0, MAX_BATCH);
    this.#waiting = this.#waiting.slice(batch.length);
    try {
      await this.#options.send(batch);
      this.sent += batch.length;
    } catch (error) {
      this.dropped += batch.length;
      this.#options.onFailure(error);
    }
  }
}
