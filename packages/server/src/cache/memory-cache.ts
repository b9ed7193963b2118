import type { Platform } from "../platform.ts";
import { toCachedText, type Cache } from "./cache.ts";

const MAX_ENTRIES = 10_000;
const MAX_CHARS = 64 * 1024 * 1024;

interface Entry {
  readonly text: string;
  /** By the monotonic clock: setting the machine's clock must not keep a value longer. */
  readonly until: number;
}

/**
 * A cache in the process, bounded in number and size: the least recently used value is evicted
 * first.
 */
export class MemoryCache implements Cache {
  readonly #monotonic: () => number;
  readonly #maxEntries: number;
  readonly #maxChars: number;
  /** In the order of use. It stores texts, because a reader may modify a value. */
  readonly #entries = new Map<string, Entry>();
  #chars = 0;

  constructor(
    { monotonic }: Pick<Platform, "monotonic">,
    { maxEntries = MAX_ENTRIES, maxChars = MAX_CHARS } = {},
  ) {
    this.#monotonic = monotonic;
    this.#maxEntries = maxEntries;
    this.#maxChars = maxChars;
  }

  async get(key: string): Promise<unknown> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#remove(key);
    if (entry.until <= this.#monotonic()) return undefined;
    this.#add(key, entry);
    return JSON.parse(entry.text);
  }

  async set(key: string, value: unknown, ttlMs: number): Promise<void> {
    const text = toCachedText(value);
    if (text === undefined || !(ttlMs > 0)) return;
    this.#remove(key);
    this.#add(key, { text, until: this.#monotonic() + ttlMs });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#maxEntries && this.#chars <= this.#maxChars) break;
      this.#remove(oldest);
    }
  }

  async delete(key: string): Promise<void> {
    this.#remove(key);
  }

  #add(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
    this.#chars += key.length + entry.text.length;
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#chars -= key.length + entry.text.length;
  }
}
