import type { LiveMessage } from "@pylonsync/protocol";
import type * as Extras from "../connection/extras.ts";
import type { LiveClient } from "../connection/live-client.ts";
import { Lazy } from "../platform/lazy.ts";
import type { Platform } from "../platform/platform.ts";
import type { ResolvedSession } from "../session/session.ts";
import { LOADING, type FunctionCall, type LiveFunctionState } from "./live-function.ts";
import type { LiveFunctions, LiveFunctionsOptions } from "./live-functions.ts";

/** The delay before code that could not be loaded is requested again, in milliseconds. */
const LOAD_AGAIN_MS = 5_000;

/** The live functions of a page: their code is loaded when the first one is watched. */
export class LazyFunctions implements LiveClient {
  readonly #platform: Platform;
  readonly #functions: Lazy<LiveFunctions>;
  /** The number of subscriptions. */
  #watching = 0;
  #cancelLoad: () => void = () => undefined;
  #isStarted = false;
  /** The session of the page; null until the server has responded. */
  #session: ResolvedSession | null = null;
  /** Sends a message over the engine's connection, if the functions share it and it is open. */
  #send: ((text: string) => void) | null = null;

  constructor(
    options: LiveFunctionsOptions,
    load: () => Promise<Pick<typeof Extras, "LiveFunctions">>,
  ) {
    this.#platform = options.platform;
    this.#functions = new Lazy(options.platform, async () => {
      const loaded = await load();
      return new loaded.LiveFunctions(options);
    });
    // Only once they are the part: from then on, all that happens is passed on to them.
    this.#functions.use((functions) => {
      if (this.#session !== null) functions.follow(this.#session);
      if (this.#send !== null) functions.client.opened(this.#send);
      if (this.#isStarted) functions.start();
    });
  }

  get #part(): LiveFunctions | null {
    return this.#functions.part;
  }

  /** Returns the state of a function, watched or not. */
  stateOf(call: FunctionCall): LiveFunctionState {
    return this.#part?.stateOf(call) ?? LOADING;
  }

  /** Keeps a function up to date. @returns an unsubscribe function */
  subscribe(call: FunctionCall, listener: () => void): () => void {
    const stop = this.#functions.during((part) => part.subscribe(call, listener));
    let count = 1;
    this.#watching += count;
    this.#loadIfNeeded();
    return () => {
      this.#watching -= count;
      count = 0;
      stop();
    };
  }

  /** Calls a watched function now. */
  refresh(call: FunctionCall): void {
    this.#part?.refresh(call);
  }

  start(): void {
    this.#isStarted = true;
    this.#part?.start();
    this.#loadIfNeeded();
  }

  stop(): void {
    this.#isStarted = false;
    this.#part?.stop();
    this.#cancelLoad();
  }

  /** The session is known: results of another user are dropped. */
  follow(session: ResolvedSession): void {
    this.#session = session;
    this.#part?.follow(session);
  }

  /** The user may have changed: everything is loaded again. */
  reset(): void {
    this.#part?.reset();
  }

  /** Retries, because the network may be back. */
  retryNow(): void {
    this.#part?.retryNow();
    this.#loadIfNeeded();
  }

  opened(send: (text: string) => void): void {
    this.#send = send;
    this.#part?.client.opened(send);
  }

  closed(): void {
    this.#send = null;
    this.#part?.client.closed();
  }

  take(message: LiveMessage): void {
    this.#part?.client.take(message);
  }

  #loadIfNeeded(): void {
    this.#cancelLoad();
    if (this.#watching === 0 || this.#part !== null) return;
    this.#functions.load().catch(() => {
      this.#cancelLoad();
      this.#cancelLoad = this.#platform.after(LOAD_AGAIN_MS, () => this.#loadIfNeeded());
    });
  }
}
