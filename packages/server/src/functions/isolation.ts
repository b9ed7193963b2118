import type { FnDefinition } from "@pylonsync/functions";
import type { Cancellation } from "../util/cancellation.ts";
import type { EncodedResult } from "./encode-result.ts";
import type { OnFetch } from "./function-fetch.ts";

/** Decides which handlers run in a separate process, and runs them there. */
export interface Isolation {
  /** Whether this function runs in a separate process. */
  isIsolated(name: string, definition: FnDefinition): boolean;
  /**
   * Acquires a process for a call, and waits until one is available.
   *
   * @throws PylonError OVERLOADED, and the signal's reason if it aborts before
   */
  enter(
    name: string,
    definition: FnDefinition,
    requestId: string,
    signal: Cancellation,
  ): Promise<Isolate>;
  /** Called when a handler blocked the server's own process for `ms` milliseconds. */
  blocked(name: string, definition: FnDefinition, ms: number): void;
}

/** A process for one call and its nested calls. It must be released, or the pool loses it. */
export interface Isolate {
  /**
   * Runs the function with this name there; the server executes the methods of its `ctx`. Rejects
   * immediately when the signal aborts, and then ends the process unless the handler ends soon.
   *
   * @throws the error of the handler, and PylonError HANDLER_CRASH if the process ends
   */
  run(call: IsolatedRun): Promise<EncodedResult>;
  release(): void;
}

/** One run of a handler. */
export interface IsolatedRun {
  readonly name: string;
  readonly args: unknown;
  /** The `ctx` that the handler would have in this process. */
  readonly context: Readonly<Record<string, unknown>>;
  /** The value of `ctx.auth`: reading it from `context` may have a side effect. */
  readonly auth: unknown;
  /** The entries of `ctx.secrets`: those that the function declares and the environment sets. */
  readonly secrets: Readonly<Record<string, string>>;
  /** The seed of `ctx.random` and `ctx.uuid`. */
  readonly seed: string;
  readonly signal: Cancellation;
  /** Called with the console output of the handler. */
  readonly onConsole: (level: string, text: string) => void;
  /** Called when `ctx.fetch` sends a request there. */
  readonly onFetch: OnFetch;
}
