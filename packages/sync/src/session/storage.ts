/** A small synchronous key-value store for tokens and the client's id. */
export interface Storage {
  get(key: string): string | null;
  set(key: string, value: string): void;
  remove(key: string): void;
}

const PROBE = "pylon:probe";

/**
 * Returns localStorage if it is writable, otherwise a storage in memory.
 *
 * @example
 * const token = defaultStorage().get(storageKey("default", "token"));
 */
export function defaultStorage(): Storage {
  try {
    const { localStorage } = globalThis;
    localStorage.setItem(PROBE, "1");
    localStorage.removeItem(PROBE);
    return {
      get: (key) => localStorage.getItem(key),
      set: (key, value) => localStorage.setItem(key, value),
      remove: (key) => localStorage.removeItem(key),
    };
  } catch {
    // localStorage is missing, or the page may not use it.
    return createWriteThroughStorage({}, () => undefined);
  }
}

/**
 * Creates a storage in memory that reports every write, for platforms with asynchronous storage.
 *
 * @param onWrite called with each write; `value` is null for a removal
 * @example
 * const kept = await readAll();
 * const storage = createWriteThroughStorage(kept, (key, value) => void save(key, value));
 */
export function createWriteThroughStorage(
  seed: Readonly<Record<string, string>>,
  onWrite: (key: string, value: string | null) => void,
): Storage {
  const values = new Map(Object.entries(seed));
  return {
    get: (key) => values.get(key) ?? null,
    set: (key, value) => {
      values.set(key, value);
      onWrite(key, value);
    },
    remove: (key) => {
      values.delete(key);
      onWrite(key, null);
    },
  };
}

/**
 * Returns the storage key of an app's value: `pylon_token` for the app `default`,
 * `pylon:<app>:token` for another.
 *
 * @example
 * storage.get(storageKey("todo", "token"));
 */
export function storageKey(appName: string, slot: string): string {
  return appName === "default" ? `pylon_${slot}` : `pylon:${appName}:${slot}`;
}
