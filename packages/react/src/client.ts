import { createSyncEngine, storageKey as keyFor, type SyncEngine, type SyncEngineConfig } from "@pylonsync/sync";

const DEFAULT_BASE_URL = "http://localhost:4321";

let config: Partial<SyncEngineConfig> = {};
let engine: SyncEngine | undefined;

/**
 * Configures the app's engine. Call it once, before the first render.
 *
 * @example
 * init({ baseUrl: "https://api.example.com", appName: "todo" });
 */
export function init(options: Partial<SyncEngineConfig> = {}): void {
  engine?.stop();
  engine = undefined;
  config = options;
}

/** The app's engine; made and started when it is first asked for. */
export function getEngine(): SyncEngine {
  if (engine === undefined) {
    const { baseUrl, ...options } = config;
    engine = createSyncEngine(baseUrl ?? DEFAULT_BASE_URL, options);
    engine.start();
  }
  return engine;
}

/** As `init`, for the two values that plain HTTP calls need. */
export function configureClient(options: { readonly baseUrl?: string; readonly appName?: string }): void {
  config = { ...config, ...options };
}

export function getBaseUrl(): string {
  return config.baseUrl ?? DEFAULT_BASE_URL;
}

export function getAppName(): string {
  return config.appName ?? "default";
}

/** The storage key of a value of this app, such as `token`. */
export function storageKey(slot: string): string {
  return keyFor(getAppName(), slot);
}
