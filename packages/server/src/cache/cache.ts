/**
 * Values that can be computed again. A value that can't be read is a miss, one that can't be
 * written is dropped: nothing here throws.
 */
export interface Cache {
  /** @returns undefined for a miss */
  get(key: string): Promise<unknown>;
  /**
   * @param value any JSON value; other values, or more than MAX_CACHED_CHARS, are dropped
   * @param ttlMs how long it may be read, in milliseconds
   */
  set(key: string, value: unknown, ttlMs: number): Promise<void>;
  /** Deletes a value, if it exists. */
  delete(key: string): Promise<void>;
}

/** The maximum length of a value's JSON text, in characters. */
export const MAX_CACHED_CHARS = 1024 * 1024;

/** @returns undefined for a value that can't be stored */
export function toCachedText(value: unknown): string | undefined {
  try {
    const text: string | undefined = JSON.stringify(value);
    return text === undefined || text.length > MAX_CACHED_CHARS ? undefined : text;
  } catch {
    // A cycle, a bigint.
    return undefined;
  }
}
