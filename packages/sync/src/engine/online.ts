import { Connection } from "../connection/connection.ts";
import { isDevServer, socketUrl } from "../connection/url.ts";
import { LazyFunctions } from "../live/lazy-functions.ts";
import type { Pusher, PusherOptions } from "../outbox/pusher.ts";
import type { EngineParts } from "./engine-parts.ts";

export { openStream, readJson } from "../connection/receive.ts";
export { errorOf } from "../connection/response.ts";
export { createGuest, endSession, readSession } from "../session/session-requests.ts";

export { callWithRetries } from "./call-with-retries.ts";

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
  readonly functions: LazyFunctions;
  readonly #parts: EngineParts;
  readonly #writes: PusherOptions;
  /** Sends the writes; null until there is one. */
  #pusher: Pusher | null = null;
  #isStarted = false;
  #cancelLoad: () => void = () => undefined;

  constructor(parts: EngineParts) {
    const { baseUrl, wsUrl = socketUrl(baseUrl), ...config } = parts.config;
    const { appName = "default", transport = "websocket" } = config;
    const { pollInterval = 1000, reconnectDelay = 1000 } = config;
    const connecting = { ...parts, transport, socketUrl: wsUrl, reconnectDelay };
    this.#parts = parts;
    this.#writes = { ...parts, retryDelay: reconnectDelay, ...writingOf(parts) };
    this.connection = new Connection({ ...connecting, pollInterval, appName });
    const options = { ...connecting, hasOwnConnection: parts.live === null };
    this.functions = new LazyFunctions(options, () => parts.extras.load());
    if (parts.live === null && isDevServer(baseUrl)) warnOfSize(parts);
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
    this.#parts.extras.load().then(
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
    const { extras, platform } = this.#parts;
    if (this.#isStarted && extras.part === null)
      this.#cancelLoad = platform.after(waitMs, () => this.#load());
  }

  /** Retries pending work, because the network may be back. */
  retryNow(): void {
    this.connection.retryNow();
    this.functions.retryNow();
    this.flush();
  }
}

/** How the queue is sent. */
function writingOf({
  session,
  store,
  queue,
  persistence,
}: EngineParts): Pick<PusherOptions, "replicaSeq" | "userId" | "prepare" | "onSend"> {
  return {
    replicaSeq: () => store.cursor.last_seq,
    userId: () => {
      const { userId } = session;
      return userId === undefined || persistence()?.part?.hasWritesOf(userId) === false
        ? undefined
        : userId;
    },
    prepare: async () => {
      await session.revalidate();
      await persistence()?.part?.prune();
    },
    onSend: (entries) => {
      const unsent = entries.filter(({ shown }) => shown === undefined);
      queue.show(store.resolved(unsent.map(({ change }) => change)));
    },
  };
}

/** Warns the developer if a full replica is too large. */
function warnOfSize({ store, events, platform, extras }: EngineParts): void {
  extras.use((loaded) => loaded.warnOfSize(store, events, platform.warn));
}
