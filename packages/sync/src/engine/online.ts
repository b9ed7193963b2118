import type * as Extras from "../connection/extras.ts";
import { Connection, type ConnectionOptions } from "../connection/connection.ts";
import { LiveFunctions, type LiveFunctionsOptions } from "../live/live-functions.ts";
import { Lazy } from "../platform/lazy.ts";
import type { Platform } from "../platform/platform.ts";
import { Pusher, type PusherOptions } from "../outbox/pusher.ts";

/** The delay after the start before the remaining code is loaded, in milliseconds. */
const PRELOAD_MS = 2_000;
/** The delay before a retry, in milliseconds. */
const PRELOAD_AGAIN_MS = 30_000;

/**
 * The networking part of an engine: a separate module, which is loaded in parallel with the first
 * request to the server.
 */
export class Online {
  /** Keeps the replica in sync. */
  readonly connection: Connection;
  /** Sends the writes. */
  readonly pusher: Pusher;

  /** The functions that the page watches. */
  readonly functions: LiveFunctions;
  readonly #after: Platform["after"];
  /** Rarely used code, loaded on demand. */
  readonly #extras: Lazy<typeof Extras>;
  #cancelPreload: () => void = () => undefined;

  /** @param onTry as for Lazy: reports whether code could be loaded */
  constructor(
    connection: ConnectionOptions,
    pusher: PusherOptions,
    functions: LiveFunctionsOptions,
    onTry: (isLoaded: boolean) => void,
  ) {
    this.#after = connection.platform.after;
    this.#extras = new Lazy(() => import("../connection/extras.ts"), onTry);
    this.connection = new Connection(connection);
    this.pusher = new Pusher(pusher);
    this.functions = new LiveFunctions(functions);
  }

  start(): void {
    this.connection.start();
    this.functions.start();
    this.pusher.start();
    this.#preload(PRELOAD_MS);
  }

  /** Closes the connection and stops all timers. */
  stop(): void {
    this.connection.stop();
    this.functions.stop();
    this.pusher.stop();
    this.#cancelPreload();
  }

  /** Loads the remaining code early, because a deployment may remove the page's files. */
  #preload(waitMs: number): void {
    this.#cancelPreload();
    if (this.#extras.part !== null) return;
    this.#cancelPreload = this.#after(waitMs, () => {
      this.#extras.load().catch(() => this.#preload(PRELOAD_AGAIN_MS));
    });
  }

  /** Retries pending work, because the network may be back. */
  retryNow(): void {
    this.connection.retryNow();
    this.functions.retryNow();
    this.pusher.flush();
  }
}
