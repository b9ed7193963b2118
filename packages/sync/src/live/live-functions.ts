import { PylonClientError } from "../connection/errors.ts";
import type { LiveClient } from "../connection/live-client.ts";
import { LiveChannel, type LiveChannelOptions } from "../connection/live-channel.ts";
import { callWithRetries } from "../engine/call-with-retries.ts";
import { functionPath } from "../engine/function-path.ts";
import type { LocalStore } from "../replica/local-store.ts";
import { isSame, type ResolvedSession } from "../session/session.ts";
import { FunctionClient } from "./function-client.ts";
import { LOADING, type FunctionCall, type LiveFunctionState } from "./live-function.ts";
import { RepeatedRead } from "./repeated-read.ts";
import { readPath } from "./read-path.ts";
import { WatchedFunction } from "./watched-function.ts";

/** How long an unused function stays subscribed, in milliseconds: a page may show it again. */
const LINGER_MS = 5_000;

/**
 * The errors with which a server does not keep a read up to date that it answers on request: an
 * earlier version, too many subscriptions, or a large result.
 */
const ONLY_ON_REQUEST = new Set([
  "FN_NOT_FOUND",
  "FUNCTIONS_NOT_AVAILABLE",
  "SUBSCRIPTION_LIMIT_REACHED",
  "RESULT_TOO_LARGE",
  "PAYLOAD_TOO_LARGE",
]);

/** The dependencies of live functions. */
export interface LiveFunctionsOptions extends Omit<LiveChannelOptions, "onSilence"> {
  /** Returns an id for a subscription of this page. */
  readonly nextId: () => number;
  /** Returns an id for a call. */
  readonly newId: () => string;
  /** True: they use their own connection; false: they use that of the engine. */
  readonly hasOwnConnection: boolean;
  /** The rows whose changes repeat reads that the server does not keep up to date. */
  readonly store: Pick<LocalStore, "subscribe">;
}

/** The query functions that a page watches; equal calls share one subscription. */
export class LiveFunctions {
  readonly #options: LiveFunctionsOptions;
  readonly #functions = new Map<string, WatchedFunction>();
  readonly #client: FunctionClient;
  /** Null if the engine's connection is used, and before any function is watched. */
  #channel: LiveChannel | null = null;
  #isStarted = false;
  /** The session of the results; null until the server has responded. */
  #session: ResolvedSession | null = null;
  /** Responses to calls of an earlier generation are ignored. */
  #generation = 0;

  constructor(options: LiveFunctionsOptions) {
    this.#options = options;
    this.#client = new FunctionClient(this.#functions, options.platform, (one, error) =>
      this.#repeat(one, error),
    );
  }

  /** The client for a connection of version 2. */
  get client(): LiveClient {
    return this.#client;
  }

  /** Returns the state of a function, watched or not. */
  stateOf({ key }: FunctionCall): LiveFunctionState {
    return this.#functions.get(key)?.state ?? LOADING;
  }

  start(): void {
    this.#isStarted = true;
    this.retryNow();
  }

  stop(): void {
    this.#isStarted = false;
    this.#disconnect();
    for (const [key, one] of [...this.#functions]) if (one.listeners === 0) this.#drop(key, one);
  }

  /** The session is known: results of another user are dropped. */
  follow(session: ResolvedSession): void {
    const isOther = this.#session !== null && !isSame(this.#session, session);
    this.#session = session;
    if (isOther) this.reset();
  }

  /** The user may have changed: everything is loaded again. */
  reset(): void {
    this.#disconnect();
    this.#client.reset();
    this.retryNow();
  }

  /** Retries, because the network may be back, or there is a new function. */
  retryNow(): void {
    if (this.#options.hasOwnConnection && this.#isNeeded) this.#connect();
  }

  get #isNeeded(): boolean {
    return this.#isStarted && this.#functions.size > 0;
  }

  #connect(): void {
    const onSilence = (): void => {
      for (const one of this.#functions.values()) void this.#call(one);
    };
    this.#channel ??= new LiveChannel(this.#client, { ...this.#options, onSilence });
    this.#channel.connect();
  }

  #disconnect(): void {
    this.#generation += 1;
    this.#channel?.disconnect();
  }

  /** Keeps a function up to date. @returns an unsubscribe function */
  subscribe({ key, name, args }: FunctionCall, listener: () => void): () => void {
    const known = this.#functions.get(key);
    const one = known ?? new WatchedFunction(this.#options.nextId(), name, args);
    if (known === undefined) {
      this.#functions.set(key, one);
      this.#client.ask(one);
    } else if (known.listeners === 0) known.cancelWait();
    one.listeners += 1;
    const unsubscribe = one.changed.on(listener);
    this.retryNow();
    let isStopped = false;
    return () => {
      if (isStopped) return;
      isStopped = true;
      unsubscribe();
      one.listeners -= 1;
      if (one.listeners > 0) return;
      one.cancelWait();
      // Watching a failed function again retries it.
      if (one.state.error !== null) return this.#drop(key, one);
      one.cancelWait = this.#options.platform.after(LINGER_MS, () => this.#drop(key, one));
    };
  }

  #drop(key: string, one: WatchedFunction): void {
    one.cancelWait();
    one.stopRepeating();
    this.#functions.delete(key);
    this.#client.forget(one);
    if (this.#functions.size === 0) this.#disconnect();
  }

  /** Calls a watched function now. */
  refresh({ key }: FunctionCall): void {
    const one = this.#functions.get(key);
    if (one !== undefined) void this.#call(one);
  }

  /**
   * Begins to repeat a read, in place of a subscription that was rejected.
   *
   * @returns whether it is one that the server answers on request
   */
  #repeat(one: WatchedFunction, { code }: PylonClientError): boolean {
    const read = readPath(one.name, one.args);
    if (read === undefined || !ONLY_ON_REQUEST.has(code)) return false;
    const { platform, store } = this.#options;
    if (one.repeated !== null) return true;
    const ask = (): void => void this.#call(one);
    one.repeated = new RepeatedRead(platform, ask, (listener) =>
      store.subscribe(read.entity, listener),
    );
    ask();
    return true;
  }

  /** Calls the function once. */
  async #call(one: WatchedFunction): Promise<void> {
    const { http, platform, newId } = this.#options;
    const read = readPath(one.name, one.args);
    // The state of a job is only sent over a connection.
    if (read === undefined && one.name.startsWith("$")) return;
    const { path, body } = read ?? { path: functionPath(http, one.name), body: one.args };
    const generation = this.#generation;
    const number = (one.asked += 1);
    const isOver = (): boolean => generation !== this.#generation || number !== one.asked;
    try {
      const call = { http, platform, path, args: body, key: newId(), token: http.token };
      const value = await callWithRetries(call);
      if (!isOver()) one.succeed(value);
    } catch (error) {
      // Without a response, the last result remains.
      if (!(error instanceof PylonClientError) || error.status === 0 || isOver()) return;
      one.fail(error);
      if (error.retryAfter !== undefined) one.repeated?.later(error.retryAfter * 1_000);
    }
  }
}
