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
  #send: ((text: string) => void) | null = null;

  /** @param functions the watched functions */
  constructor(functions: ReadonlyMap<string, WatchedFunction>, { after }: Pick<Platform, "after">) {
    this.#functions = functions;
    this.#after = after;
  }

  opened(send: (text: string) => void): void {
    this.#send = send;
    for (const one of this.#functions.values()) this.ask(one);
  }

  closed(): void {
    this.#send = null;
    for (const one of this.#functions.values()) one.sub = null;
  }

  reset(): void {
    for (const one of this.#functions.values()) one.reset();
  }

  take(message: LiveMessage): void {
    if (message.type === "result" || message.type === "failed") {
      for (const one of this.#functions.values())
        if (one.sub !== message.sub) continue;
        else if (message.type === "result") one.succeed(message.value);
        else one.fail(new PylonClientError(REFUSED, message));
    } else if (message.type === "joined" || message.type === "error") {
      for (const one of this.#functions.values())
        if (one.id !== message.id) continue;
        else if (message.type === "joined") one.sub = message.sub;
        else this.#refused(one, new PylonClientError(REFUSED, message), message.retry_after_secs);
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
      if (one.sub === null && one.state.error?.code === "SUBSCRIPTION_LIMIT_REACHED") this.ask(one);
  }

  /** The server rejected the subscription. */
  #refused(one: WatchedFunction, error: PylonClientError, retryAfter: number | undefined): void {
    one.sub = null;
    one.fail(error);
    if (retryAfter === undefined || one.listeners === 0) return;
    one.cancelWait();
    one.cancelWait = this.#after(retryAfter * 1000, () => this.ask(one));
  }
}
