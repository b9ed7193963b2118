/** A small synchronous key-value store for tokens and the client's id. */
export interface Storage {
  get(key: string): string | null;
  set(key: string, value: string): void;
  remove(key: string): void;
}

const PROBE = "pylon:probe";

/**
 * localStorage where it can be written, else memory.
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
    // No localStorage here, or the page may not use it.
    return createWriteThroughStorage({}, () => undefined);
  }
}

/**
 * A storage in memory that tells of every write, for platforms whose own storage is asynchronous.
 *
 * @param onWrite `value` is null for a removal
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
 * The key of a value of an app: `pylon_token` for the app `default`, `pylon:<app>:token` for
 * another.
 *
 * @example
 * storage.get(storageKey("todo", "token"));
 */
export function storageKey(appName: string, slot: string): string {
  return appName === "default" ? `pylon_${slot}` : `pylon:${appName}:${slot}`;
}
