import type { LiveMessage } from "@pylonsync/protocol";
import { PylonClientError } from "../connection/errors.ts";
import type { LiveClient } from "../connection/live-client.ts";
import type { Platform } from "../platform/platform.ts";
import type { WatchedFunction } from "./watched-function.ts";

/** The status used for errors of a connection, which have no HTTP status. */
const REFUSED = 400;

/** Keeps functions up to date over a connection of version 2. */
export class FunctionClient implements LiveClient {
  readonly #after: Platform["after"];
  readonly #functions: ReadonlyMap<string, WatchedFunction>;
  readonly #mayRepeat: (one: WatchedFunction, error: PylonClientError) => boolean;
  #send: ((text: string) => void) | null = null;

  /**
   * @param functions the watched functions
   * @param mayRepeat calls the function on its own instead, if the server does not keep it up to
   *   date for this reason. @returns whether it does
   */
  constructor(
    functions: ReadonlyMap<string, WatchedFunction>,
    { after }: Pick<Platform, "after">,
    mayRepeat: (one: WatchedFunction, error: PylonClientError) => boolean,
  ) {
    this.#functions = functions;
    this.#after = after;
    this.#mayRepeat = mayRepeat;
  }

  opened(send: (text: string) => void): void {
    this.#send = send;
    for (const one of this.#functions.values()) this.ask(one);
  }

  closed(): void {
    this.#send = null;
    for (const one of this.#functions.values()) {
      one.sub = null;
      // With the next connection it is subscribed to or requested again.
      one.stopRepeating();
    }
  }

  reset(): void {
    for (const one of this.#functions.values()) one.reset();
  }

  take(message: LiveMessage): void {
    if (message.type === "result" || message.type === "failed") {
      for (const one of this.#functions.values())
        if (one.sub !== message.sub) continue;
        else if (message.type === "failed") this.#fail(one, new PylonClientError(REFUSED, message));
        else {
          one.stopRepeating();
          one.succeed(message.value);
        }
    } else if (message.type === "joined" || message.type === "error") {
      for (const one of this.#functions.values())
        if (one.id !== message.id) continue;
        else if (message.type === "joined") {
          one.sub = message.sub;
          one.refusedBy = null;
        } else this.#refused(one, new PylonClientError(REFUSED, message), message.retry_after_secs);
    }
  }

  /** Subscribes to the function, if connected. */
  ask({ id, name, args }: WatchedFunction): void {
    this.#send?.(JSON.stringify({ type: "subscribe", id, function: name, args }));
  }

  /** The function is no longer watched. */
  forget({ id }: WatchedFunction): void {
    this.#send?.(JSON.stringify({ type: "unsubscribe", id }));
    // A subscription that exceeded the limit may fit now.
    for (const one of this.#functions.values())
      if (one.sub === null && one.refusedBy === "SUBSCRIPTION_LIMIT_REACHED") this.ask(one);
  }

  #fail(one: WatchedFunction, error: PylonClientError): void {
    if (!this.#mayRepeat(one, error)) one.fail(error);
  }

  /** The server rejected the subscription. */
  #refused(one: WatchedFunction, error: PylonClientError, retryAfter: number | undefined): void {
    one.sub = null;
    one.refusedBy = error.code;
    this.#fail(one, error);
    if (retryAfter === undefined || one.listeners === 0) return;
    one.cancelWait();
    one.cancelWait = this.#after(retryAfter * 1000, () => this.ask(one));
  }
}
