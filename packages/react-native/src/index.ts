/**
 * Pylon's React hooks for React Native, with or without Expo: rows and unsent writes that survive
 * restarts of the app, tokens in the keychain, and reconnects when the network is back.
 *
 * @module
 */
export * from "@pylonsync/react";
export { AsyncStoragePersistence } from "./async-storage-persistence.ts";
export { init, useNetworkStatus, type NativeConfig } from "./init.ts";
export type {
  AppStateModule,
  AsyncStorageModule,
  MmkvInstance,
  NativeModules,
  NetInfoModule,
  NetInfoState,
  SecureStoreModule,
  SqliteDatabase,
} from "./native-modules.ts";
export type { NetworkStatus } from "./network.ts";
export { OfflineStore, type OfflinePersistence } from "./offline-store.ts";
export {
  createAsyncStorageBridge,
  createMmkvStorage,
  type StorageBridgeOptions,
} from "./token-storage.ts";
