/**
 * Values that can be made again. A value that can't be read is a miss, one that can't be written is
 * dropped: nothing here throws.
 */
export interface Cache {
  /** @returns undefined for a miss */
  get(key: string): Promise<unknown>;
  /**
   * @param value anything that is JSON; what is not, or takes more than MAX_CACHED_CHARS, is
   *   dropped
   * @param ttlMs how long it may be read, in milliseconds
   */
  set(key: string, value: unknown, ttlMs: number): Promise<void>;
  /** Forgets a value; nothing happens where there is none. */
  delete(key: string): Promise<void>;
}

/** Longest JSON text of a value, in characters. */
export const MAX_CACHED_CHARS = 1024 * 1024;

/** @returns undefined for a value that can't be kept */
export function toCachedText(value: unknown): string | undefined {
  try {
    const text: string | undefined = JSON.stringify(value);
    return text === undefined || text.length > MAX_CACHED_CHARS ? undefined : text;
  } catch {
    // A cycle, a bigint.
    return undefined;
  }
}
