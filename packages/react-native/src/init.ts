import { init as initReact } from "@pylonsync/react";
import type { Storage, SyncEngineConfig } from "@pylonsync/sync";
import { useSyncExternalStore } from "react";
import { installedAsyncStorage } from "./installed-async-storage.ts";
import { nativePlatform } from "./native-platform.ts";
import type { NativeModules } from "./native-modules.ts";
import { Network, type NetworkStatus } from "./network.ts";
import { textsOf } from "./texts.ts";
import { bridgeOf, createMmkvStorage } from "./token-storage.ts";

/** Options of `init`: those of the engine, and the app's native modules. */
export interface NativeConfig extends Partial<SyncEngineConfig> {
  readonly native?: NativeModules;
}

let network = new Network(undefined);

/**
 * Configures the app's engine, like `init` of `@pylonsync/react`, with the app's native modules.
 * Await it before the first render, because it reads the token.
 *
 * @example
 * import type { NativeModules } from "@pylonsync/react-native";
 *
 * const begin = (native: NativeModules) =>
 *   init({ baseUrl: "https://api.example.com", appName: "todo", native });
 */
export async function init({ native: given = {}, ...config }: NativeConfig = {}): Promise<void> {
  const native = withInstalledStorage(given);
  const storage = config.storage ?? (await storageOf(native, config));
  network = new Network(native.netInfo);
  initReact({
    ...config,
    ...(storage === undefined ? {} : { storage }),
    platform: { ...nativePlatform(native, network), ...config.platform },
  });
}

/**
 * Whether the device is online, as reported by the `netInfo` of `init`. It is a hint: `useStatus`
 * shows whether the server responds.
 *
 * @example
 * function Offline() {
 *   return useNetworkStatus().isOnline ? null : "You are offline";
 * }
 */
export function useNetworkStatus(): NetworkStatus {
  return useSyncExternalStore(network.onChange, network.status, network.status);
}

/** The app's modules; if none of them can store texts, also the AsyncStorage that is installed. */
function withInstalledStorage(native: NativeModules): NativeModules {
  const { mmkv, asyncStorage, sqlite } = native;
  if (textsOf({ mmkv, asyncStorage, sqlite }) !== null) return native;
  const installed = installedAsyncStorage();
  return installed === undefined ? native : { ...native, asyncStorage: installed };
}

/** The storage for the token; undefined for memory. */
async function storageOf(
  { mmkv, asyncStorage, sqlite, secureStore }: NativeModules,
  { appName, platform }: NativeConfig,
): Promise<Storage | undefined> {
  // oxlint-disable-next-line eslint/no-console -- It is for the developer's console.
  const warn = platform?.warn ?? console.warn;
  if (mmkv !== undefined && secureStore === undefined) return createMmkvStorage(mmkv);
  const plain = textsOf({ mmkv, asyncStorage, sqlite });
  if (plain === null)
    warn(
      "Rows and unsent writes are not stored: pass native.asyncStorage, sqlite or mmkv to init.",
    );
  if (plain === null && secureStore === undefined) return undefined;
  const onError = (error: unknown): void =>
    warn(`The session could not be read or stored: ${String(error)}`);
  return bridgeOf(plain, { secureStore, appName, onError });
}
