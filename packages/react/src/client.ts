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
/** Where no setting names one. */
let storage: Storage | undefined;
/** What `provideEngine` made the engine of, to tell whether it is asked for the same again. */
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
 * The app's engine, created and started by the first call.
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
 * The engine for a provider, which starts it when the page is hydrated. In a browser it is the
 * app's. On a server that renders the page, which serves many users at once, it is a new one
 * that knows this request's session, sends no requests, and is dropped with the answer.
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
 * As `getEngine`; on a server that renders a page without a provider, an engine that holds no rows
 * and sends no requests.
 */
export function engineForRender(): SyncEngine {
  return isServer() ? createSyncEngine(getBaseUrl(), { storage: memory() }) : getEngine();
}

/**
 * As `init`, for the two values that plain HTTP calls need.
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
 * The server that `init` named, else `http://localhost:4321`.
 *
 * @example
 * const health = await fetch(`${getBaseUrl()}/health`);
 */
export function getBaseUrl(): string {
  return config.baseUrl ?? DEFAULT_BASE_URL;
}

/**
 * The name that separates this app's token and rows from other apps on the same origin.
 *
 * @example
 * console.log(getAppName());
 */
export function getAppName(): string {
  return config.appName ?? "default";
}

/**
 * The storage key of a value of this app, such as `token`.
 *
 * @example
 * const token = localStorage.getItem(storageKey("token"));
 */
export function storageKey(slot: string): string {
  return keyFor(getAppName(), slot);
}

/**
 * Where the app's engine keeps the token, for a platform without `localStorage`. Call it before the
 * first render, as `init`, whose option `storage` does the same.
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
 * Where the app's engine keeps the token, and the app may keep small texts of its own.
 *
 * @example
 * const token = getReactStorage().get(storageKey("token"));
 */
export function getReactStorage(): Storage {
  return config.storage ?? (storage ??= defaultStorage());
}

/**
 * Tells the app's engine, if there is one, that the app has signed somebody in or out by itself:
 * the replica is made again for whoever the server says is there.
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

/**
 * Whether a page is rendered to text here. React Native has no document either, and is a client.
 */
function isServer(): boolean {
  return typeof document === "undefined" && globalThis.navigator?.product !== "ReactNative";
}

function memory(): ReturnType<typeof createWriteThroughStorage> {
  return createWriteThroughStorage({}, () => undefined);
}
