import {
  createSyncEngine,
  createWriteThroughStorage,
  defaultStorage,
  storageKey as keyFor,
  type Storage,
  type SyncEngine,
  type SyncEngineConfig,
} from "@pylonsync/sync";

const DEFAULT_BASE_URL = "http://localhost:4321";

let config: Partial<SyncEngineConfig> = {};
let engine: SyncEngine | undefined;
/** The default storage, if the settings do not name one. */
let storage: Storage | undefined;
/** The settings of the engine that `provideEngine` created, to detect changes. */
let provided: string | undefined;

/**
 * Configures the app's engine. Call it once, before the first render.
 *
 * @example
 * init({ baseUrl: "https://api.example.com", appName: "todo" });
 */
export function init(options: Partial<SyncEngineConfig> = {}): void {
  engine?.stop();
  engine = undefined;
  provided = undefined;
  config = options;
}

/**
 * Returns the app's engine. The first call creates and starts it.
 *
 * @example
 * const unsubscribe = getEngine().onStatus(({ pending }) => console.log(pending));
 */
export function getEngine(): SyncEngine {
  if (engine === undefined) {
    engine = make();
    engine.start();
  }
  return engine;
}

/**
 * Returns the engine for a provider, which starts it after hydration. In a browser this is the
 * app's engine. During server rendering, which serves many users concurrently, it is a new engine
 * with the request's session; it sends no requests and is discarded after the response.
 */
export function provideEngine(options: Partial<SyncEngineConfig>): SyncEngine {
  if (isServer())
    return createSyncEngine(options.baseUrl ?? DEFAULT_BASE_URL, { ...options, storage: memory() });
  const key = JSON.stringify({ ...options, session: undefined });
  if (engine === undefined || provided !== key) {
    init(options);
    engine = make();
    provided = key;
  }
  return engine;
}

/**
 * Like `getEngine`; when a server renders a page without a provider, an engine without rows that
 * sends no requests.
 */
export function engineForRender(): SyncEngine {
  return isServer() ? createSyncEngine(getBaseUrl(), { storage: memory() }) : getEngine();
}

/**
 * Like `init`, for the two settings that plain HTTP calls need.
 *
 * @example
 * configureClient({ baseUrl: "https://api.example.com" });
 */
export function configureClient(options: {
  readonly baseUrl?: string;
  readonly appName?: string;
}): void {
  config = { ...config, ...options };
}

/**
 * Returns the server's URL, as set with `init`; default `http://localhost:4321`.
 *
 * @example
 * const health = await fetch(`${getBaseUrl()}/health`);
 */
export function getBaseUrl(): string {
  return config.baseUrl ?? DEFAULT_BASE_URL;
}

/**
 * Returns the name that separates this app's token and rows from other apps on the same origin.
 *
 * @example
 * console.log(getAppName());
 */
export function getAppName(): string {
  return config.appName ?? "default";
}

/**
 * Returns the storage key of a value of this app, such as `token`.
 *
 * @example
 * const token = localStorage.getItem(storageKey("token"));
 */
export function storageKey(slot: string): string {
  return keyFor(getAppName(), slot);
}

/**
 * Sets the storage for the engine's token, on a platform without `localStorage`. Call it before the
 * first render, or use the option `storage` of `init`.
 *
 * @example
 * import { createWriteThroughStorage } from "@pylonsync/sync";
 *
 * const kept: Record<string, string> = {};
 * setReactStorage(createWriteThroughStorage(kept, (key, value) => console.log(key, value)));
 */
export function setReactStorage(next: Storage): void {
  storage = next;
  if (engine !== undefined && config.storage === undefined) init(config);
}

/**
 * Returns the storage of the engine's token, where the app may also store small strings.
 *
 * @example
 * const token = getReactStorage().get(storageKey("token"));
 */
export function getReactStorage(): Storage {
  return config.storage ?? (storage ??= defaultStorage());
}

/**
 * Notifies the engine, if it exists, that the app itself has signed a user in or out: it rebuilds
 * the replica for the current user.
 *
 * @example
 * await fetch("/api/auth/session", { method: "DELETE" });
 * notifySessionChanged();
 */
export function notifySessionChanged(): void {
  engine?.session.notifyChanged();
}

function make(): SyncEngine {
  const { baseUrl, ...options } = config;
  const own = storage === undefined ? {} : { storage };
  return createSyncEngine(baseUrl ?? DEFAULT_BASE_URL, { ...own, ...options });
}

/** Whether this is server rendering. React Native has no document either, but is a client. */
export function isServer(): boolean {
  return typeof document === "undefined" && globalThis.navigator?.product !== "ReactNative";
}

function memory(): ReturnType<typeof createWriteThroughStorage> {
  return createWriteThroughStorage({}, () => undefined);
}
