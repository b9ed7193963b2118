import { settledWithin } from "../util/time-limit.ts";
import type { Platform, Timer } from "../platform.ts";

/** How and when a queue sends. */
export interface ExportQueueOptions<T> {
  /** Sends a batch. It must settle in bounded time. */
  readonly send: (items: T[]) => Promise<void>;
  /** How long an item waits for others, in milliseconds. */
  readonly delayMs: number;
  readonly onFailure: (error: unknown) => void;
  readonly platform: Pick<Platform, "after">;
}

const MAX_WAITING = 4096;
const MAX_BATCH = 512;

/**
 * A bounded queue of items to export, in sequential batches. Items for which there is no room are
 * dropped and counted; nothing waits for room.
 */
export class ExportQueue<T> {
  readonly #options: ExportQueueOptions<T>;
  #waiting: T[] = [];
  #timer: Timer | null = null;
  #sending: Promise<void> | null = null;
  #isClosed = false;
  /** Items for which there was no room, or that could not be sent. */
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
   * Accepts no more items, and resolves when all waiting ones were tried, or after `withinMs`
   * milliseconds.
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
