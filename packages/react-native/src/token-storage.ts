import { createWriteThroughStorage, storageKey, type Storage } from "@pylonsync/sync";
import type { AsyncStorageModule, MmkvInstance, SecureStoreModule } from "./native-modules.ts";
import type { TextStore } from "@pylonsync/sync/text-disk";
import { asyncStorageTexts, removeFrom } from "./texts.ts";

/** The prefix of the keys under which the client stores small texts, such as the token. */
const OWN_KEY = /^pylon[_:]/;

/** Options of `createAsyncStorageBridge`. */
export interface StorageBridgeOptions {
  /** Stores the token instead of AsyncStorage, which other apps on a rooted device can read. */
  readonly secureStore?: SecureStoreModule | undefined;
  /** The app whose token `secureStore` stores. Default `default`. */
  readonly appName?: string | undefined;
  /**
   * Called with read errors, after which the value is treated as missing, and with write errors,
   * after which the value is only kept until the app is closed.
   */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/**
 * Loads Pylon's values from AsyncStorage, and returns a synchronous write-through storage, which
 * the client needs before the first render. A token that an earlier version stored in AsyncStorage
 * is moved to `secureStore`.
 *
 * @example
 * import type { AsyncStorageModule } from "@pylonsync/react-native";
 *
 * const openWith = async (asyncStorage: AsyncStorageModule) =>
 *   createSyncEngine("https://api.example.com", {
 *     storage: await createAsyncStorageBridge(asyncStorage),
 *   });
 */
export function createAsyncStorageBridge(
  asyncStorage: AsyncStorageModule,
  options: StorageBridgeOptions = {},
): Promise<Storage> {
  return bridgeOf(asyncStorageTexts(asyncStorage), options);
}

/** Like `createAsyncStorageBridge`, for any text store. @param plain null for memory */
export async function bridgeOf(
  plain: TextStore | null,
  { secureStore, appName = "default", onError = () => undefined }: StorageBridgeOptions,
): Promise<Storage> {
  // The token, and that of a session which is still to be ended on the server.
  const secrets = ["token", "ended"].map((slot) => storageKey(appName, slot));
  const seed = await seedOf(plain).catch((error: unknown): Record<string, string> => {
    onError(error);
    return {};
  });
  if (secureStore !== undefined)
    // A keychain that is locked, or was restored on another device, must not prevent the app from
    // starting.
    await takeSecrets(seed, secrets, secureStore, plain).catch(onError);
  const write = async (key: string, text: string | null): Promise<void> => {
    if (secureStore !== undefined && secrets.includes(key))
      await (text === null
        ? secureStore.deleteItemAsync(secureKey(key))
        : secureStore.setItemAsync(secureKey(key), text));
    else await (text === null ? plain?.remove([key]) : plain?.write([[key, text]]));
  };
  // Serializes writes: a token that is set and immediately removed must be gone.
  let turn: Promise<void> = Promise.resolve();
  return createWriteThroughStorage(seed, (key, text) => {
    turn = turn.then(() => write(key, text)).catch(onError);
  });
}

/** Reads tokens from the secure store, and moves those in plain text into it. */
async function takeSecrets(
  seed: Record<string, string>,
  keys: readonly string[],
  secureStore: SecureStoreModule,
  plain: TextStore | null,
): Promise<void> {
  for (const key of keys) {
    const token = await secureStore.getItemAsync(secureKey(key));
    const unsafe = seed[key];
    if (token !== null) seed[key] = token;
    else if (unsafe !== undefined) await secureStore.setItemAsync(secureKey(key), unsafe);
    if (unsafe !== undefined) await plain?.remove([key]);
  }
}

async function seedOf(plain: TextStore | null): Promise<Record<string, string>> {
  const keys = ((await plain?.keys("pylon")) ?? []).filter((key) => OWN_KEY.test(key));
  const texts = (await plain?.read(keys)) ?? [];
  const seed: Record<string, string> = {};
  for (const [index, key] of keys.entries()) {
    const text = texts[index] ?? null;
    if (text !== null) seed[key] = text;
  }
  return seed;
}

/**
 * Creates a storage in MMKV, which is synchronous.
 *
 * @example
 * import type { MmkvInstance } from "@pylonsync/react-native";
 *
 * const openWith = (mmkv: MmkvInstance) =>
 *   createSyncEngine("https://api.example.com", { storage: createMmkvStorage(mmkv) });
 */
export function createMmkvStorage(mmkv: MmkvInstance): Storage {
  return {
    get: (key) => mmkv.getString(key) ?? null,
    set: (key, value) => mmkv.set(key, value),
    remove: (key) => removeFrom(mmkv, key),
  };
}

/** A secure store only allows letters, digits, `.`, `-` and `_` in keys. */
function secureKey(key: string): string {
  return key.replaceAll(/[^\w-]/g, (sign) => `.${(sign.codePointAt(0) ?? 0).toString(16)}.`);
}
