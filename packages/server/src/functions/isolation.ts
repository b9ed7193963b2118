import type { FnDefinition } from "@pylonsync/functions";
import type { EncodedResult } from "./encode-result.ts";
import type { OnFetch } from "./function-fetch.ts";

/** Decides which handlers run in a process of their own, and has them run there. */
export interface Isolation {
  /** Whether this function runs in a process of its own. */
  isIsolated(name: string, definition: FnDefinition): boolean;
  /**
   * A process for a call, once there is one.
   *
   * @throws PylonError OVERLOADED, and the signal's reason when it aborts before
   */
  enter(name: string, requestId: string, signal: AbortSignal): Promise<Isolate>;
  /** A handler held up the server's own process, and everybody with it, for `ms` milliseconds. */
  blocked(name: string, definition: FnDefinition, ms: number): void;
}

/** A process for one call and those that it makes. Release it, or there is one less. */
export interface Isolate {
  /**
   * Runs the function of this name there; its `ctx` is served from here. Rejects at once when the
   * signal aborts, and then ends the process unless the handler ends soon.
   *
   * @throws what the handler throws, and PylonError HANDLER_CRASH when the process ends
   */
  run(call: IsolatedRun): Promise<EncodedResult>;
  release(): void;
}

/** One run of a handler. */
export interface IsolatedRun {
  readonly name: string;
  readonly args: unknown;
  /** `ctx` as it would be here. */
  readonly context: Readonly<Record<string, unknown>>;
  /** What `ctx.auth` is; to read it from `context` may have been asked to be told. */
  readonly auth: unknown;
  /** What `ctx.secrets` has: what the function declares and the environment sets. */
  readonly secrets: Readonly<Record<string, string>>;
  /** What `ctx.random` and `ctx.uuid` are drawn from. */
  readonly seed: string;
  readonly signal: AbortSignal;
  /** Told what the handler prints. */
  readonly onConsole: (level: string, text: string) => void;
  /** Told what `ctx.fetch` asks there. */
  readonly onFetch: OnFetch;
}
