import {
  createSyncEngine,
  createWriteThroughStorage,
  storageKey as keyFor,
  type SyncEngine,
  type SyncEngineConfig,
} from "@pylonsync/sync";

const DEFAULT_BASE_URL = "http://localhost:4321";

let config: Partial<SyncEngineConfig> = {};
let engine: SyncEngine | undefined;
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

/** The app's engine; made and started when it is first asked for. */
export function getEngine(): SyncEngine {
  if (engine === undefined) {
    engine = make();
    engine.start();
  }
  return engine;
}

/**
 * The engine for a provider, which starts it when the page is alive. In a browser it is the app's;
 * where a server renders the page it is one that knows this request's session, asks nobody and is
 * dropped with the answer, because what renders there is many users' at once.
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
 * As `getEngine`, while a server renders a page that has no provider: an engine that holds nothing
 * and asks nobody.
 */
export function engineForRender(): SyncEngine {
  return isServer() ? createSyncEngine(getBaseUrl(), { storage: memory() }) : getEngine();
}

/** As `init`, for the two values that plain HTTP calls need. */
export function configureClient(options: {
  readonly baseUrl?: string;
  readonly appName?: string;
}): void {
  config = { ...config, ...options };
}

/** The server that `init` named, else the one of development. */
export function getBaseUrl(): string {
  return config.baseUrl ?? DEFAULT_BASE_URL;
}

/** What tells this app's token and rows from those of others on the same origin. */
export function getAppName(): string {
  return config.appName ?? "default";
}

/** The storage key of a value of this app, such as `token`. */
export function storageKey(slot: string): string {
  return keyFor(getAppName(), slot);
}

function make(): SyncEngine {
  const { baseUrl, ...options } = config;
  return createSyncEngine(baseUrl ?? DEFAULT_BASE_URL, options);
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
