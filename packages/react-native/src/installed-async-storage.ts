import type { AsyncStorageModule } from "./native-modules.ts";

/**
 * The app's AsyncStorage, if it has installed `@react-native-async-storage/async-storage`. Apps
 * written for the public system expect `init` to find it. React Native's bundler treats a `require`
 * in a `try` block as an optional dependency, so the app builds without it too.
 */
export function installedAsyncStorage(): AsyncStorageModule | undefined {
  try {
    // oxlint-disable-next-line typescript/no-require-imports -- An import would be required.
    const found: unknown = require("@react-native-async-storage/async-storage");
    const storage = Object(found).default ?? found;
    return isAsyncStorage(storage) ? storage : undefined;
  } catch {
    return undefined;
  }
}

function isAsyncStorage(value: unknown): value is AsyncStorageModule {
  const storage: Partial<Record<keyof AsyncStorageModule, unknown>> = Object(value);
  return typeof storage.multiGet === "function" && typeof storage.getAllKeys === "function";
}
