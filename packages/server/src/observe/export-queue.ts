export interface ExportQueueOptions<T> {
  /** Sends a batch. Must settle by itself in bounded time. */
  readonly send: (items: T[]) => Promise<void>;
  /** How long an item waits for others, in milliseconds. */
  readonly delayMs: number;
  readonly onFailure: (error: unknown) => void;
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
  #timer: ReturnType<typeof setTimeout> | undefined;
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
    else this.#timer ??= timerOf(() => void this.#send(), this.#options.delayMs);
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
    await Promise.race([all(), new Promise((resolve) => timerOf(() => resolve(null), withinMs))]);
    clearTimeout(this.#timer);
  }

  #send(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending ??= this.#sendBatch().finally(() => {
      this.#sending = null;
      if (this.#waiting.length >= MAX_BATCH) void this.#send();
      else if (this.#waiting.length > 0)
        this.#timer ??= timerOf(() => void this.#send(), this.#options.delayMs);
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

/** A timer that keeps no process alive. */
function timerOf(run: () => void, ms: number): ReturnType<typeof setTimeout> {
  const timer = setTimeout(run, ms);
  timer.unref();
  return timer;
}
