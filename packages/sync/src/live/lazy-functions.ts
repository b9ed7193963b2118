import type { LiveMessage } from "@pylonsync/protocol";
import type * as Extras from "../connection/extras.ts";
import type { LiveClient } from "../connection/live-client.ts";
import type { ResolvedSession } from "../session/session.ts";
import { LOADING, type FunctionCall, type LiveFunctionState } from "./live-function.ts";
import type { LiveFunctions, LiveFunctionsOptions } from "./live-functions.ts";

/** The delay before code that could not be loaded is requested again, in milliseconds. */
const LOAD_AGAIN_MS = 5_000;

/** The live functions of a page: their code is loaded when the first one is watched. */
export class LazyFunctions implements LiveClient {
  readonly #options: LiveFunctionsOptions;
  readonly #load: () => Promise<Pick<typeof Extras, "LiveFunctions">>;
  #part: LiveFunctions | null = null;
  /** Subscribes the functions that are watched before the code is loaded. */
  readonly #waiting = new Set<(part: LiveFunctions) => void>();
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
    this.#options = options;
    this.#load = load;
  }

  /** Returns the state of a function, watched or not. */
  stateOf(call: FunctionCall): LiveFunctionState {
    return this.#part?.stateOf(call) ?? LOADING;
  }

  /** Keeps a function up to date. @returns an unsubscribe function */
  subscribe(call: FunctionCall, listener: () => void): () => void {
    if (this.#part !== null) return this.#part.subscribe(call, listener);
    let stop: () => void = () => this.#waiting.delete(begin);
    const begin = (part: LiveFunctions): void => {
      stop = part.subscribe(call, listener);
    };
    this.#waiting.add(begin);
    this.#loadIfNeeded();
    return () => stop();
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
    if (this.#waiting.size > 0) void this.#begin();
  }

  async #begin(): Promise<void> {
    this.#cancelLoad();
    const loaded = await this.#load().catch(() => null);
    if (this.#part !== null || this.#waiting.size === 0) return;
    if (loaded === null) {
      this.#cancelLoad = this.#options.platform.after(LOAD_AGAIN_MS, () => this.#loadIfNeeded());
      return;
    }
    const part = new loaded.LiveFunctions(this.#options);
    this.#part = part;
    if (this.#session !== null) part.follow(this.#session);
    if (this.#send !== null) part.client.opened(this.#send);
    if (this.#isStarted) part.start();
    for (const begin of this.#waiting) begin(part);
    this.#waiting.clear();
  }
}
