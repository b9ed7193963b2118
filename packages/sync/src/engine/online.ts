import type * as Extras from "../connection/extras.ts";
import { Connection, type ConnectionOptions } from "../connection/connection.ts";
import { LiveFunctions, type LiveFunctionsOptions } from "../live/live-functions.ts";
import type { Lazy } from "../platform/lazy.ts";
import type { Platform } from "../platform/platform.ts";
import type { Pusher, PusherOptions } from "../outbox/pusher.ts";

/** Without a connection, the remaining code is loaded after this time, in milliseconds. */
const PRELOAD_MS = 2_000;
/** The delay before a retry, in milliseconds, */
const PRELOAD_AGAIN_MS = 30_000;
/** and while writes wait for it. */
const WRITES_AGAIN_MS = 5_000;

/**
 * The networking part of an engine: a separate module, which is loaded in parallel with the first
 * request to the server.
 */
export class Online {
  /** Keeps the replica in sync. */
  readonly connection: Connection;
  /** The functions that the page watches. */
  readonly functions: LiveFunctions;
  readonly #writes: PusherOptions;
  /** Sends the writes; null until there is one. */
  #pusher: Pusher | null = null;
  readonly #after: Platform["after"];
  readonly #extras: Lazy<typeof Extras>;
  #isStarted = false;
  #cancelLoad: () => void = () => undefined;

  /** @param extras the code that is not needed for the first rows */
  constructor(
    connection: ConnectionOptions,
    writes: PusherOptions,
    functions: LiveFunctionsOptions,
    extras: Lazy<typeof Extras>,
  ) {
    this.#after = connection.platform.after;
    this.#extras = extras;
    this.#writes = writes;
    this.connection = new Connection(connection);
    this.functions = new LiveFunctions(functions);
  }

  start(): void {
    this.#isStarted = true;
    this.connection.start();
    this.functions.start();
    this.#pusher?.start();
    this.#loadLater(PRELOAD_MS);
    this.flush();
  }

  /** Closes the connection and stops all timers. */
  stop(): void {
    this.#isStarted = false;
    this.connection.stop();
    this.functions.stop();
    this.#pusher?.stop();
    this.#cancelLoad();
  }

  /** Sends pending writes now. */
  flush(): void {
    if (this.#pusher !== null) this.#pusher.flush();
    else if (this.#hasWrites) this.#load();
  }

  /**
   * There is a new connection: requests from before may be lost. The first rows are there, or on
   * their way, so the remaining code is loaded too.
   */
  resend(): void {
    if (this.#pusher !== null) this.#pusher.resend();
    else this.#load();
  }

  get #hasWrites(): boolean {
    return this.#isStarted && this.#writes.queue.pending().length > 0;
  }

  #load(): void {
    this.#extras.load().then(
      ({ Pusher: Sender }) => {
        if (this.#pusher !== null || !this.#hasWrites) return;
        this.#pusher = new Sender(this.#writes);
        this.#pusher.start();
      },
      () => this.#loadLater(this.#hasWrites ? WRITES_AGAIN_MS : PRELOAD_AGAIN_MS),
    );
  }

  /** Loads the remaining code early, because a deployment may remove the page's files. */
  #loadLater(waitMs: number): void {
    this.#cancelLoad();
    if (this.#isStarted && this.#extras.part === null)
      this.#cancelLoad = this.#after(waitMs, () => this.#load());
  }

  /** Retries pending work, because the network may be back. */
  retryNow(): void {
    this.connection.retryNow();
    this.functions.retryNow();
    this.flush();
  }
}
