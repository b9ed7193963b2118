import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createContext, runInContext } from "node:vm";
import type { BunPlugin } from "bun";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import type { SyncEngine } from "@pylonsync/sync";
import type * as ReactNative from "@pylonsync/react-native";
import { Window } from "happy-dom";
import { createElement } from "react";
import { TestClient, until } from "../support/client.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

// The package is bundled as for a device, and run with only the globals of React Native: no window,
// document, IndexedDB, BroadcastChannel, crypto or streams, and a limited URL. The native modules
// are replaced by fakes that follow their contracts.

const app = appOf(
  buildManifest({
    name: "native",
    version: "1.0.0",
    entities: [entity("Item", { n: field.int(), ownerId: field.string().owner() })],
    policies: [policy({ name: "own", entity: "Item", allow: "auth.userId == data.ownerId" })],
  }),
);

const cache = join(import.meta.dir, "../../node_modules/.cache");
mkdirSync(cache, { recursive: true });
const dir = mkdtempSync(join(cache, "react-native-"));

let server: TestServer;
let code: string;
/** The same with AsyncStorage installed in the app. */
let codeWithStorage: string;

const ASYNC_STORAGE: BunPlugin = {
  name: "installed AsyncStorage",
  setup(build) {
    build.onResolve({ filter: /^@react-native-async-storage\/async-storage$/ }, ({ path }) => ({
      path,
      namespace: "installed",
    }));
    build.onLoad({ filter: /.*/, namespace: "installed" }, () => ({
      contents: "export default globalThis.installedAsyncStorage;",
      loader: "js",
    }));
  },
};

async function bundled(entry: string, plugins: BunPlugin[] = []): Promise<string> {
  const { outputs } = await Bun.build({
    entrypoints: [entry],
    format: "iife",
    target: "browser",
    conditions: ["react-native"],
    define: { "process.env.NODE_ENV": '"production"' },
    plugins,
  });
  return (await outputs[0]?.text()) ?? "";
}

beforeAll(async () => {
  server = await startServer(app);
  const entry = join(dir, "app.ts");
  writeFileSync(
    entry,
    'import * as pylon from "@pylonsync/react-native";\nObject.assign(globalThis, { pylon });\n',
  );
  code = await bundled(entry);
  codeWithStorage = await bundled(entry, [ASYNC_STORAGE]);
});
afterAll(async () => {
  rmSync(dir, { recursive: true, force: true });
  await server.stop();
});

/** What a device stores while its app is closed, and the events that it sends to the app. */
class Device {
  isOnline = true;
  readonly secrets = new Map<string, string>();
  readonly texts = new Map<string, string>();
  readonly #database = new Database(":memory:");
  readonly #network = new Set<(state: ReactNative.NetInfoState) => void>();
  readonly #appState = new Set<(state: string) => void>();

  get state(): ReactNative.NetInfoState {
    return { type: this.isOnline ? "wifi" : "none", isConnected: this.isOnline };
  }
  turn(isOnline: boolean): void {
    this.isOnline = isOnline;
    for (const listener of this.#network) listener(this.state);
  }
  /** The network returns without an event. */
  returnWithoutEvent(): void {
    this.isOnline = true;
  }
  look(): void {
    for (const listener of this.#appState) listener("active");
  }
  get listeners(): number {
    return this.#network.size + this.#appState.size;
  }
  /** Everything that is stored outside of the secure store. */
  plainText(): string {
    const rows = this.#hasTable ? this.#database.query("SELECT * FROM pylon_texts").all() : [];
    return JSON.stringify([[...this.texts], rows]);
  }
  #hasTable = false;

  readonly secureStore: ReactNative.SecureStoreModule = {
    getItemAsync: async (key) => this.secrets.get(checkedKey(key)) ?? null,
    setItemAsync: async (key, value) => void this.secrets.set(checkedKey(key), value),
    deleteItemAsync: async (key) => void this.secrets.delete(checkedKey(key)),
  };
  readonly asyncStorage: ReactNative.AsyncStorageModule = {
    getAllKeys: async () => [...this.texts.keys()],
    multiGet: async (keys) => keys.map((key) => [key, this.texts.get(key) ?? null] as const),
    multiSet: async (pairs) => {
      for (const [key, text] of pairs) this.texts.set(key, text);
    },
    multiRemove: async (keys) => {
      for (const key of keys) this.texts.delete(key);
    },
  };
  readonly mmkv: ReactNative.MmkvInstance = {
    getAllKeys: () => [...this.texts.keys()],
    getString: (key) => this.texts.get(key),
    set: (key, value) => void this.texts.set(key, value),
    remove: (key) => this.texts.delete(key),
  };
  readonly sqlite: ReactNative.SqliteDatabase = {
    execAsync: async (sql) => {
      this.#database.run(sql);
      this.#hasTable = true;
    },
    runAsync: async (sql, params) => this.#database.query(sql).run(...params),
    getAllAsync: async <T>(sql: string, params: string[]) =>
      this.#database.query(sql).all(...params) as T[],
  };
  readonly netInfo: ReactNative.NetInfoModule = {
    addEventListener: (listener) => {
      this.#network.add(listener);
      queueMicrotask(() => listener(this.state));
      return () => this.#network.delete(listener);
    },
  };
  readonly appState: ReactNative.AppStateModule = {
    addEventListener: (_type, listener) => {
      this.#appState.add(listener);
      return { remove: () => this.#appState.delete(listener) };
    },
  };

  /** Starts the app as after it was closed. */
  async start(
    native: ReactNative.NativeModules,
    { hasAsyncStorage = false } = {},
  ): Promise<{ readonly pylon: typeof ReactNative; readonly engine: SyncEngine }> {
    const context: Record<string, unknown> = {
      AbortController,
      AbortSignal,
      clearTimeout,
      console,
      fetch: (url: string, init: RequestInit) => this.#fetch(url, init),
      navigator: { product: "ReactNative" },
      queueMicrotask,
      setTimeout,
      URL: PoorUrl,
      URLSearchParams: PoorParams,
      WebSocket: this.#socket(),
      ...(hasAsyncStorage ? { installedAsyncStorage: this.asyncStorage } : {}),
    };
    context["globalThis"] = context;
    createContext(context);
    runInContext(hasAsyncStorage ? codeWithStorage : code, context);
    const pylon = context["pylon"] as typeof ReactNative;
    await pylon.init({
      baseUrl: server.url,
      appName: "items",
      // Longer than the test, so that only the device's events trigger a reconnect.
      reconnectDelay: 600_000,
      native,
    });
    return { pylon, engine: pylon.getEngine() };
  }

  async #fetch(url: string, init: RequestInit): Promise<unknown> {
    if (!this.isOnline) throw new TypeError("Network request failed");
    const response = await fetch(url, init);
    const text = await response.text();
    const { status, ok, headers } = response;
    // It has no body that can be read as a stream.
    return { status, ok, headers, redirected: false, url, text: async () => text };
  }
  #socket(): unknown {
    const addressOf = (url: string): string => (this.isOnline ? url : "ws://127.0.0.1:9");
    const onOffline = (run: () => void): void =>
      void this.#network.add(({ isConnected }) => {
        if (isConnected === false) run();
      });
    return class extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(addressOf(url), protocols);
        onOffline(() => this.close());
      }
    };
  }
}

/** The URL class of React Native before its newest versions. */
class PoorUrl {
  constructor() {
    throw new Error("URL is not implemented.");
  }
}

class PoorParams extends URLSearchParams {
  override get(): never {
    throw new Error("URLSearchParams.get is not implemented.");
  }
  override set(): never {
    throw new Error("URLSearchParams.set is not implemented.");
  }
}

function checkedKey(key: string): string {
  if (!/^[\w.-]+$/.test(key)) throw new Error(`Invalid key ${key}.`);
  return key;
}

const numbers = (engine: SyncEngine): unknown[] =>
  engine.store
    .list("Item")
    .map(({ n }) => Number(n))
    .toSorted((one, other) => one - other);

describe.each(["asyncStorage", "mmkv", "sqlite"] as const)("a device with %s", (kind) => {
  const device = new Device();
  const native = (): ReactNative.NativeModules => ({
    [kind]: device[kind],
    secureStore: device.secureStore,
    netInfo: device.netInfo,
    appState: device.appState,
  });

  test("rows, writes and the session survive a restart; device events reconnect it", async () => {
    const first = await device.start(native());
    const { userId, token } = await first.engine.session.signInAsGuest();
    await until(() => first.engine.status.connection === "live");
    await first.engine.insert("Item", { n: 1 });
    await first.engine.flushed();
    await until(
      () => device.plainText().includes("chunk:") && !device.plainText().includes("write:"),
    );
    await until(() => device.secrets.size > 0);
    device.turn(false);
    await until(() => first.engine.status.connection === "offline");
    await first.engine.insert("Item", { n: 2 });
    expect(device.plainText()).toContain("write:");
    expect([[...device.secrets.values()], device.plainText().includes(token)]).toEqual([
      [token],
      false,
    ]);
    first.engine.stop();

    const { engine } = await device.start(native());
    await until(() => numbers(engine).length === 2 && engine.status.pending === 1);
    expect([numbers(engine), engine.status.stale]).toEqual([[1, 2], true]);
    device.turn(true);
    await until(() => engine.status.connection === "live" && engine.status.pending === 0);
    const caller = new TestClient(server.url, token, userId);
    const kept = await caller.request("POST", "/api/query/Item", {});
    expect(kept.text).toContain('"n":2');

    device.turn(false);
    await until(() => engine.status.connection === "offline");
    device.returnWithoutEvent();
    device.look();
    await until(() => engine.status.connection === "live");
    engine.session.forgetToken();
    await until(() => device.secrets.size === 0 && !device.plainText().includes(userId));
    engine.stop();
  });
});

test("without native modules it runs in memory", async () => {
  const device = new Device();
  const { pylon, engine } = await device.start({});
  await engine.session.signInAsGuest();
  await until(() => engine.status.connection === "live");
  await engine.insert("Item", { n: 1 });
  await engine.flushed();
  expect(device.plainText()).toBe("[[],[]]");
  engine.stop();
  expect(Object.keys(pylon)).toContain("useNetworkStatus");
});

test("init without native modules finds the AsyncStorage that the app has installed", async () => {
  const device = new Device();
  const first = await device.start({}, { hasAsyncStorage: true });
  const { token } = await first.engine.session.signInAsGuest();
  await first.engine.insert("Item", { n: 7 });
  await first.engine.flushed();
  await until(() => device.plainText().includes("chunk:") && device.plainText().includes(token));
  first.engine.stop();
  device.turn(false);
  const { engine } = await device.start({}, { hasAsyncStorage: true });
  await until(() => numbers(engine).length === 1);
  expect(numbers(engine)).toEqual([7]);
  engine.stop();
});

test("useNetworkStatus follows the device's status while a component uses it", async () => {
  const device = new Device();
  const window = new Window({ url: "http://localhost/" });
  const before = { window: Reflect.get(globalThis, "window"), document: globalThis.document };
  Object.assign(globalThis, { window, document: window.document });
  try {
    const { init, useNetworkStatus } = await import("@pylonsync/react-native");
    await init({ native: { netInfo: device.netInfo, mmkv: device.mmkv } });
    const shown: string[] = [];
    const Status = (): null => {
      const { isOnline, connectionType } = useNetworkStatus();
      shown.push(`${connectionType} ${isOnline}`);
      return null;
    };
    const { createRoot } = await import("react-dom/client");
    const root = createRoot(window.document.createElement("div") as never);
    root.render(createElement(Status));
    await until(() => shown.at(-1) === "wifi true");
    device.turn(false);
    await until(() => shown.at(-1) === "none false");
    root.unmount();
    await until(() => device.listeners === 0);
    expect(shown).toEqual(["unknown true", "wifi true", "none false"]);
  } finally {
    await window.happyDOM.close();
    Object.assign(globalThis, before);
  }
});

test("a token that was stored in AsyncStorage moves into the secure store", async () => {
  const device = new Device();
  device.texts.set("pylon:items:token", "old-token");
  device.texts.set("other", "not ours");
  const { pylon } = await device.start({
    asyncStorage: device.asyncStorage,
    secureStore: device.secureStore,
  });
  expect(pylon.getReactStorage().get("pylon:items:token")).toBe("old-token");
  pylon.getEngine().stop();
  expect([[...device.secrets.values()], device.texts.get("pylon:items:token")]).toEqual([
    ["old-token"],
    undefined,
  ]);
  expect(device.texts.get("other")).toBe("not ours");
});
