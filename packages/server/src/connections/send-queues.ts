import { QUEUE_SHARE } from "@pylonsync/protocol";
import type { Platform, Timer } from "../platform.ts";
import { networkOf } from "../util/network.ts";

/** A reader for which bytes may be queued. */
export interface QueuedReader {
  /** The client's address. */
  readonly address: string;
  /** The bytes that are queued now. */
  queued(): number;
  /** Drops the connection, and with it its queue. */
  drop(): void;
}

/** The limits of queues, in bytes. */
export interface QueueLimits {
  /** The maximum size of one reader's queue, without rows and results that it has requested. */
  readonly perReader: number;
  /** The maximum size of all queues together; a network address may use a part of it. */
  readonly total: number;
}

/**
 * The time in which a reader must have read something while others wait for room in the queues of
 * its network, in milliseconds. The kernel takes more from a queue only in large steps.
 */
const STALLED_MS = 15_000;
/** A reader that has still more than this part of its queue after that time has stalled. */
const STALLED_PART = 7 / 8;
/** How long a reader waits for room in any case, in milliseconds. */
const MAX_WAIT_MS = 30_000;

/** The queues of the readers of one network. */
class NetworkQueues {
  /** In the order in which they began to be behind. */
  readonly readers = new Map<QueuedReader, number>();
  readonly waiting = new Set<() => void>();
  bytes = 0;
  /** Looks for stalled readers while others wait. */
  timer: Timer | null = null;
}

/**
 * Counts the bytes that are queued for slow readers, per network and in total. If they exceed a
 * limit, the reader with the longest queue in the network with the most queued bytes is dropped: it
 * reconnects, and continues from its cursor.
 */
export class SendQueues {
  /** The maximum size of one reader's queue, in bytes. */
  readonly perReader: number;
  readonly #max: number;
  readonly #platform: Pick<Platform, "after" | "every">;
  readonly #networks = new Map<string, NetworkQueues>();
  #total = 0;

  constructor({ perReader, total }: QueueLimits, platform: Pick<Platform, "after" | "every">) {
    this.perReader = perReader;
    this.#max = total;
    this.#platform = platform;
  }

  /** The bytes of all queues. */
  get total(): number {
    return this.#total;
  }

  /** Sets the size of a reader's queue. */
  set(reader: QueuedReader, bytes: number): void {
    const known = this.#count(reader, bytes);
    if (bytes <= known) return;
    const network = networkOf(reader.address);
    // What a reader that is alone may have queued has its own limits.
    while (this.#bytesOf(network) > this.#max / QUEUE_SHARE) if (!this.#dropOne(network, 2)) break;
    while (this.#total > this.#max) if (!this.#dropOne(this.#largest(), 1)) break;
  }

  /** Whether requested rows of this client must wait until others of its network were read. */
  isFull(address: string): boolean {
    return this.#isFull(networkOf(address));
  }

  #isFull(key: string): boolean {
    return this.#bytesOf(key) > this.#max / QUEUE_SHARE / 2;
  }

  /**
   * Waits for room in the queues of a client's network. Its rows are not read before, so that they
   * need no memory.
   */
  async room(address: string): Promise<void> {
    const key = networkOf(address);
    let isLate = false;
    const late = this.#platform.after(MAX_WAIT_MS, () => {
      isLate = true;
      this.#wake(key);
    });
    late.unref();
    while (this.isFull(address) && !isLate) {
      const network = this.#networkOf(key);
      network.timer ??= this.#watch(key, network);
      await new Promise<void>((resolve) => network.waiting.add(resolve));
    }
    late.cancel();
  }

  /** Drops stalled readers of a network as long as it is full and others wait. */
  #watch(key: string, network: NetworkQueues): Timer {
    let before = new Map(network.readers);
    return this.#platform
      .every(STALLED_MS, () => {
        if (network.waiting.size === 0) return this.#unwatch(network);
        for (const reader of [...network.readers.keys()]) this.#count(reader, reader.queued());
        const stalled = [...network.readers].filter(
          ([reader, bytes]) => bytes > (before.get(reader) ?? Infinity) * STALLED_PART,
        );
        for (const [reader] of stalled.toSorted(([, a], [, b]) => b - a))
          if (this.#isFull(key)) this.#drop(reader);
        before = new Map(network.readers);
      })
      .unref();
  }

  #unwatch(network: NetworkQueues): void {
    network.timer?.cancel();
    network.timer = null;
  }

  #wake(key: string): void {
    const waiting = this.#networks.get(key)?.waiting ?? new Set();
    for (const resolve of waiting) resolve();
    waiting.clear();
  }

  #drop(reader: QueuedReader): void {
    this.#count(reader, 0);
    reader.drop();
  }

  /** @returns the bytes that were counted before */
  #count(reader: QueuedReader, bytes: number): number {
    const key = networkOf(reader.address);
    const network = this.#networkOf(key);
    const known = network.readers.get(reader) ?? 0;
    if (bytes > 0) network.readers.set(reader, bytes);
    else network.readers.delete(reader);
    network.bytes += bytes - known;
    this.#total += bytes - known;
    if (bytes < known) this.#wake(key);
    if (network.readers.size === 0) {
      this.#unwatch(network);
      this.#networks.delete(key);
    }
    return known;
  }

  #networkOf(key: string): NetworkQueues {
    let network = this.#networks.get(key);
    if (network === undefined) this.#networks.set(key, (network = new NetworkQueues()));
    return network;
  }

  #bytesOf(key: string): number {
    return this.#networks.get(key)?.bytes ?? 0;
  }

  #largest(): string {
    let [largest, most] = ["", -1];
    for (const [key, { bytes }] of this.#networks) if (bytes > most) [largest, most] = [key, bytes];
    return largest;
  }

  /**
   * Drops the longest queue of a network, unless some of it was read since it was counted.
   *
   * @param min the least number of readers of the network that are behind
   * @returns false if there are fewer
   */
  #dropOne(key: string, min: number): boolean {
    const { bytes, readers } = this.#networkOf(key);
    for (const reader of [...readers.keys()]) this.#count(reader, reader.queued());
    if (this.#bytesOf(key) < bytes) return true;
    if (readers.size < min) return false;
    let [longest, most]: [QueuedReader | null, number] = [null, 0];
    for (const [reader, queued] of readers) if (queued > most) [longest, most] = [reader, queued];
    if (longest === null) return false;
    this.#drop(longest);
    return true;
  }
}
