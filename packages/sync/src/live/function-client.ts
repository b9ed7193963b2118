import { LIVE_PROTOCOL } from "@pylonsync/protocol";
import { PylonClientError } from "../connection/errors.ts";
import type { HttpClient } from "../connection/http.ts";
import type { LiveConnection } from "../connection/transport/transport.ts";
import { openSocket, protocolsOf } from "../connection/transport/websocket.ts";
import { callFunction } from "../engine/functions.ts";
import { Backoff } from "../platform/backoff.ts";
import type { Platform } from "../platform/platform.ts";
import type { Session } from "../session/session.ts";
import type { WatchedFunction } from "./live-function.ts";
import { functionMessage, type FunctionMessage } from "./live-message.ts";

/** A server that does not say hello in this time, in milliseconds, knows no live functions. */
const HELLO_MS = 5_000;
/** How often in a row there may be no socket before functions are called instead. */
const MAX_MISSES = 2;
/** How often they are called then, in milliseconds. */
const POLL_MS = 10_000;
/** What an error of a socket counts as, which has no HTTP status. */
const REFUSED = 400;

/** What live functions are kept up to date by. */
export interface FunctionClientOptions {
  readonly http: HttpClient;
  readonly platform: Platform;
  readonly session: Pick<Session, "token">;
  readonly socketUrl: string;
  readonly reconnectDelay: number;
  readonly newId: () => string;
}

/**
 * Keeps functions up to date over a socket of their own, which is open while there are any. Where
 * no socket gets through, or the server is older than live functions, they are called again and
 * again.
 */
export class FunctionClient {
  readonly #options: FunctionClientOptions;
  readonly #backoff: Backoff;
  readonly #functions: ReadonlyMap<string, WatchedFunction>;
  #socket: LiveConnection | null = null;
  /** The server has said hello. */
  #isReady = false;
  #misses = 0;
  #cancelWait: () => void = () => undefined;
  /** What a socket says that was given up has no effect. */
  #generation = 0;
  /** Nor has the answer to a call, once somebody else may be there or the socket tells more. */
  #callsOf = 0;

  /** @param functions those that somebody looks at */
  constructor(functions: ReadonlyMap<string, WatchedFunction>, options: FunctionClientOptions) {
    this.#functions = functions;
    this.#options = options;
    this.#backoff = new Backoff(options.platform, options.reconnectDelay);
  }

  /** Connects now, unless it has. */
  connect(): void {
    if (this.#socket !== null || this.#functions.size === 0) return;
    const { platform, session, socketUrl } = this.#options;
    this.#cancelWait();
    const generation = this.#generation;
    const isOver = (): boolean => generation !== this.#generation;
    try {
      const protocols = [LIVE_PROTOCOL, ...protocolsOf(session.token)];
      this.#socket = openSocket(socketUrl, protocols, platform, {
        onOpen: () => {
          if (isOver()) return;
          this.#cancelWait = platform.after(HELLO_MS, () => this.#end());
        },
        onText: (text) => {
          const message = functionMessage(text);
          if (message !== null && !isOver()) this.#take(message);
          return undefined;
        },
        onEnd: () => {
          if (!isOver()) this.#end();
        },
      });
    } catch {
      // There are none here.
      this.#misses = MAX_MISSES;
      this.#end();
    }
  }

  /** Ends the connection, and what waits for another one. */
  disconnect(): void {
    this.#callsOf += 1;
    this.#close();
  }

  #close(): void {
    this.#generation += 1;
    this.#cancelWait();
    this.#socket?.close();
    this.#socket = null;
    this.#isReady = false;
    for (const one of this.#functions.values()) one.sub = null;
  }

  /** Subscribes to it, if it is connected. */
  ask({ id, name, args }: WatchedFunction): void {
    if (this.#isReady) this.#send({ type: "subscribe", id, function: name, args });
  }

  /** Nobody looks at it any longer. */
  forget({ id }: WatchedFunction): void {
    if (this.#isReady) this.#send({ type: "unsubscribe", id });
    if (this.#functions.size === 0) this.disconnect();
    // There is room for one that there was none for.
    for (const one of this.#functions.values())
      if (one.sub === null && one.state.error?.code === "SUBSCRIPTION_LIMIT_REACHED") this.ask(one);
  }

  #end(): void {
    this.#misses = this.#isReady ? 0 : this.#misses + 1;
    this.#close();
    const isPolling = this.#misses >= MAX_MISSES;
    if (isPolling) for (const one of this.#functions.values()) void this.#call(one);
    const wait = isPolling ? POLL_MS : this.#backoff.next();
    this.#cancelWait = this.#options.platform.after(wait, () => this.connect());
  }

  #take(message: FunctionMessage): void {
    if (message.type === "hello") {
      this.#cancelWait();
      this.#isReady = true;
      this.#callsOf += 1;
      this.#backoff.reset();
      for (const one of this.#functions.values()) this.ask(one);
      return;
    }
    for (const one of this.#functions.values())
      if ("id" in message ? one.id === message.id : one.sub === message.sub)
        this.#tell(one, message);
  }

  #tell(one: WatchedFunction, message: Exclude<FunctionMessage, { readonly type: "hello" }>): void {
    if (message.type === "joined") one.sub = message.sub;
    else if (message.type === "result") one.succeed(message.value);
    else one.fail(new PylonClientError(REFUSED, message));
    if (message.type === "error") this.#refused(one, message.retry_after_secs);
  }

  /** The server does not keep it up to date. */
  #refused(one: WatchedFunction, retryAfter: number | undefined): void {
    one.sub = null;
    if (retryAfter === undefined || one.listeners === 0) return;
    one.cancelWait();
    one.cancelWait = this.#options.platform.after(retryAfter * 1000, () => this.ask(one));
  }

  #send(message: object): void {
    this.#socket?.send?.(JSON.stringify(message));
  }

  /** Asks once, over HTTP. */
  async #call(one: WatchedFunction): Promise<void> {
    const { http, platform, newId } = this.#options;
    const callsOf = this.#callsOf;
    const isOver = (): boolean => callsOf !== this.#callsOf;
    try {
      const value = await callFunction(http, platform, one.name, one.args, newId());
      if (!isOver()) one.succeed(value);
    } catch (error) {
      // Where nobody answered, what is known stands.
      if (error instanceof PylonClientError && error.status > 0 && !isOver()) one.fail(error);
    }
  }
}
