import type { TextStore } from "@pylonsync/sync/text-disk";
import type { AsyncStorageModule, MmkvInstance, SqliteDatabase } from "./native-modules.ts";

/** The number of names per SQLite statement. */
const NAMES_AT_ONCE = 500;

/** The modules that can store texts. */
interface TextModules {
  readonly mmkv?: MmkvInstance | undefined;
  readonly asyncStorage?: AsyncStorageModule | undefined;
  readonly sqlite?: SqliteDatabase | undefined;
}

/** Returns the texts of the first available module; null if there is none. */
export function textsOf({ mmkv, asyncStorage, sqlite }: TextModules): TextStore | null {
  if (mmkv !== undefined) return mmkvTexts(mmkv);
  if (asyncStorage !== undefined) return asyncStorageTexts(asyncStorage);
  return sqlite === undefined ? null : sqliteTexts(sqlite);
}

/** Texts in AsyncStorage, which is limited to 6 MB on Android unless the app raises the limit. */
export function asyncStorageTexts(storage: AsyncStorageModule): TextStore {
  return {
    keys: async (prefix) => (await storage.getAllKeys()).filter((key) => key.startsWith(prefix)),
    read: async (keys) => {
      const found = new Map(await storage.multiGet(keys));
      return keys.map((key) => found.get(key) ?? null);
    },
    write: (texts) => storage.multiSet(texts.map(([key, text]) => [key, text])),
    remove: (keys) => storage.multiRemove(keys),
  };
}

/** Texts in MMKV. */
export function mmkvTexts(mmkv: MmkvInstance): TextStore {
  return {
    keys: (prefix) => promised(() => mmkv.getAllKeys().filter((key) => key.startsWith(prefix))),
    read: (keys) => promised(() => keys.map((key) => mmkv.getString(key) ?? null)),
    write: (texts) =>
      promised(() => {
        for (const [key, text] of texts) mmkv.set(key, text);
      }),
    remove: (keys) =>
      promised(() => {
        for (const key of keys) removeFrom(mmkv, key);
      }),
  };
}

/** Runs synchronous work as a promise: errors become rejections. */
function promised<T>(work: () => T): Promise<T> {
  return Promise.resolve().then(work);
}

/** Deletes a text from MMKV, with any version. */
export function removeFrom(mmkv: MmkvInstance, key: string): void {
  if (mmkv.remove === undefined) mmkv.delete?.(key);
  else mmkv.remove(key);
}

/** Texts in a table of an SQLite database, which is created if it does not exist. */
export function sqliteTexts(database: SqliteDatabase): TextStore {
  let made: Promise<void> | undefined;
  const ready = (): Promise<void> => {
    made ??= database
      .execAsync(
        "CREATE TABLE IF NOT EXISTS pylon_texts " +
          "(key TEXT PRIMARY KEY NOT NULL, text TEXT NOT NULL)",
      )
      .catch((error: unknown) => {
        // The database may have been locked: the next call retries.
        made = undefined;
        throw error;
      });
    return made;
  };
  return {
    keys: async (prefix) => {
      await ready();
      const rows = await database.getAllAsync<{ readonly key: string }>(
        "SELECT key FROM pylon_texts WHERE key >= ? AND key < ?",
        [prefix, `${prefix}\u{10ffff}`],
      );
      return rows.map(({ key }) => key);
    },
    read: async (keys) => {
      await ready();
      const found = new Map<string, string>();
      for (let from = 0; from < keys.length; from += NAMES_AT_ONCE) {
        const names = keys.slice(from, from + NAMES_AT_ONCE);
        const rows = await database.getAllAsync<{ readonly key: string; readonly text: string }>(
          `SELECT key, text FROM pylon_texts WHERE key IN (${names.map(() => "?").join(", ")})`,
          names,
        );
        for (const { key, text } of rows) found.set(key, text);
      }
      return keys.map((key) => found.get(key) ?? null);
    },
    write: async (texts) => {
      await ready();
      for (const [key, text] of texts)
        await database.runAsync("INSERT OR REPLACE INTO pylon_texts (key, text) VALUES (?, ?)", [
          key,
          text,
        ]);
    },
    remove: async (keys) => {
      await ready();
      for (const key of keys)
        await database.runAsync("DELETE FROM pylon_texts WHERE key = ?", [key]);
    },
  };
}
