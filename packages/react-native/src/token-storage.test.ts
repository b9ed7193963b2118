import { expect, test } from "bun:test";
import type { AsyncStorageModule, SecureStoreModule } from "./native-modules.ts";
import { createAsyncStorageBridge } from "./token-storage.ts";

function asyncStorageOf(texts: Map<string, string>): AsyncStorageModule {
  return {
    getAllKeys: async () => [...texts.keys()],
    multiGet: async (keys) => keys.map((key) => [key, texts.get(key) ?? null] as const),
    multiSet: async (pairs) => {
      for (const [key, text] of pairs) texts.set(key, text);
    },
    multiRemove: async (keys) => {
      for (const key of keys) texts.delete(key);
    },
  };
}

const refuse = (message: string) => (): Promise<never> => Promise.reject(new Error(message));

const brokenKeychain = (over: Partial<SecureStoreModule>): SecureStoreModule => ({
  getItemAsync: refuse("Could not decrypt the value."),
  setItemAsync: refuse("The keychain is locked."),
  deleteItemAsync: refuse("The keychain is locked."),
  ...over,
});

test("a keychain that cannot be read or written does not prevent the app's start", async () => {
  for (const [secureStore, problem] of [
    [brokenKeychain({}), "Error: Could not decrypt the value."],
    [brokenKeychain({ getItemAsync: async () => null }), "Error: The keychain is locked."],
  ] as const) {
    const texts = new Map([
      ["pylon_token", "kept"],
      ["pylon:client_id", "client"],
    ]);
    const errors: string[] = [];
    const storage = await createAsyncStorageBridge(asyncStorageOf(texts), {
      secureStore,
      onError: (error) => errors.push(String(error)),
    });
    expect([storage.get("pylon_token"), storage.get("pylon:client_id")]).toEqual([
      "kept",
      "client",
    ]);
    // A token that could not be moved is still there at the next start.
    expect(texts.get("pylon_token")).toBe("kept");
    expect(errors).toEqual([problem]);
  }
});

test("if AsyncStorage cannot be read, the keychain's token is still used", async () => {
  const errors: string[] = [];
  const storage = await createAsyncStorageBridge(
    { ...asyncStorageOf(new Map()), getAllKeys: refuse("The database is corrupt.") },
    {
      secureStore: brokenKeychain({ getItemAsync: async () => "secret" }),
      onError: (error) => errors.push(String(error)),
    },
  );
  expect(storage.get("pylon_token")).toBe("secret");
  expect(errors).toEqual(["Error: The database is corrupt."]);
});
