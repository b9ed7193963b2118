// The used parts of native modules. The app installs and passes them: if this package imported
// them, it would decide for every app which modules to install. Only AsyncStorage is looked up, if
// it is installed (installed-async-storage.ts).

/** `@react-native-async-storage/async-storage`. */
export interface AsyncStorageModule {
  getAllKeys(): Promise<readonly string[]>;
  multiGet(keys: readonly string[]): Promise<readonly (readonly [string, string | null])[]>;
  multiSet(pairs: [string, string][]): Promise<void>;
  multiRemove(keys: readonly string[]): Promise<void>;
}

/** `expo-secure-store`: the keychain of iOS, the keystore of Android. */
export interface SecureStoreModule {
  getItemAsync(key: string): Promise<string | null>;
  setItemAsync(key: string, value: string): Promise<void>;
  deleteItemAsync(key: string): Promise<void>;
}

/** A database of `expo-sqlite`, as returned by `openDatabaseAsync`. */
export interface SqliteDatabase {
  execAsync(sql: string): Promise<void>;
  runAsync(sql: string, params: string[]): Promise<unknown>;
  getAllAsync<T>(sql: string, params: string[]): Promise<T[]>;
}

/** An instance of `react-native-mmkv`; `delete` is called `remove` in newer versions. */
export interface MmkvInstance {
  getAllKeys(): readonly string[];
  getString(key: string): string | undefined;
  set(key: string, value: string): void;
  delete?(key: string): unknown;
  remove?(key: string): unknown;
}

/** The state reported by `@react-native-community/netinfo`. */
export interface NetInfoState {
  readonly type: string;
  readonly isConnected: boolean | null;
  readonly isInternetReachable?: boolean | null | undefined;
}

/** `@react-native-community/netinfo`. */
export interface NetInfoModule {
  /**
   * Calls the listener with the current state, and with each new state. @returns an unsubscribe
   * function
   */
  addEventListener(listener: (state: NetInfoState) => void): () => void;
}

/** `AppState` of `react-native`. */
export interface AppStateModule {
  addEventListener(
    type: "change",
    listener: (state: string) => void,
  ): { readonly remove: () => void };
}

/** The native modules that Pylon can use; all are optional. */
export interface NativeModules {
  /** Stores the token, rows and unsent writes. */
  readonly asyncStorage?: AsyncStorageModule;
  /** Stores the token, with precedence over the others. */
  readonly secureStore?: SecureStoreModule;
  /**
   * Stores rows and unsent writes, with precedence over the others: for more than a few megabytes.
   */
  readonly sqlite?: SqliteDatabase;
  /** Replaces `asyncStorage`, and is faster. */
  readonly mmkv?: MmkvInstance;
  /** Reports network changes, so that the client reconnects immediately. */
  readonly netInfo?: NetInfoModule;
  /** Reports when the app returns to the foreground, so that the client updates immediately. */
  readonly appState?: AppStateModule;
  /**
   * Generates random bytes for ids, such as `getRandomValues` of `expo-crypto`. Default: that of a
   * global `crypto`, otherwise `Math.random`.
   */
  readonly getRandomValues?: (bytes: Uint8Array<ArrayBuffer>) => unknown;
}
