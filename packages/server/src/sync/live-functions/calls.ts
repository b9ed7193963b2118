import type { PylonError } from "@pylonsync/protocol";
import type { LoggedRead } from "../../data/read-log.ts";
import type { Caller } from "../../identity/identity.ts";

/** One run of a live function. */
export interface LiveCall {
  readonly name: string;
  /** As sent by the client; the handler gets a copy. */
  readonly args: Readonly<Record<string, unknown>>;
  readonly caller: Caller;
  /** Returns the name of the share of the store's readers that the run uses. */
  readonly readerShare: () => string;
  /** The request id of the run in the log. */
  readonly requestId: string;
  /** The seed of the run's random numbers: the same in each run of a live function. */
  readonly seed: string;
  /** Aborted when no subscriber waits for the result any longer. */
  readonly signal: AbortSignal;
}

/** The terms on which a caller is subscribed. */
export interface LiveCallTerms {
  /**
   * Callers with the same audience share a live function, unless a run reads the identity of its
   * caller.
   */
  readonly audience: string;
  /**
   * Whether it only reads the store, as its caller. The store limits such reads by caller, so they
   * do not wait for the runs of other functions.
   */
  readonly isRead: boolean;
  /** The number of its conditions that scan a whole value for each change; 0 by default. */
  readonly searches?: number | undefined;
}

/** The outcome of a run, and the data that it depends on. */
export interface LiveOutcome {
  /** The result as JSON text, or the error. */
  readonly result: string | PylonError;
  /** Equal for results that are not sent again; by default the result itself. */
  readonly compared?: string | undefined;
  readonly reads: readonly LoggedRead[];
  /** Whether it depends on the time: then later subscribers get another run. */
  readonly isTimed?: boolean | undefined;
  /**
   * Whether the function read the identity of the caller, so that other callers may get another
   * result.
   */
  readonly readsCaller: boolean;
  /** The least time from the start of this run to that of the next one, in milliseconds. */
  readonly pauseMs?: number | undefined;
}

/** Runs the functions of an app for their subscribers. Implemented by `functions/live-calls.ts`. */
export interface LiveFunctionCalls {
  /**
   * Checks whether the caller may subscribe to the function.
   *
   * @throws PylonError FN_NOT_FOUND, FN_TYPE_MISMATCH, INVALID_ARGS, INSUFFICIENT_SCOPE
   */
  check(name: string, args: Readonly<Record<string, unknown>>, caller: Caller): LiveCallTerms;
  /**
   * Counts a subscription that requires a separate run against the rate limit, like a call over
   * HTTP.
   *
   * @param address the client's address
   * @throws PylonError RATE_LIMITED
   */
  count(name: string, caller: Caller, address: string): Promise<void>;
  /**
   * Runs the function in one snapshot of the database. Rejects only with errors of the server
   * itself.
   */
  run(call: LiveCall): Promise<LiveOutcome>;
}
