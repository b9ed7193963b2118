import type { PylonError } from "@pylonsync/protocol";
import type { LoggedRead } from "../../data/read-log.ts";
import type { Caller } from "../../identity/identity.ts";

/** One run of a live function. */
export interface LiveCall {
  readonly name: string;
  /** As they came; the handler gets a copy of its own. */
  readonly args: Readonly<Record<string, unknown>>;
  readonly caller: Caller;
  /** Whose share of the store's readers it uses. */
  readonly readerShare: () => string;
  /** Names it in the log. */
  readonly requestId: string;
  /** What its chance is drawn from: the same in each run of a live function. */
  readonly seed: string;
  /** Nobody waits for it any longer. */
  readonly signal: AbortSignal;
}

/** What came of a run, and what it depends on. */
export interface LiveOutcome {
  /** The result as JSON text, or why there is none. */
  readonly result: string | PylonError;
  readonly reads: readonly LoggedRead[];
  /** It looked at who calls, so that others may get another result. */
  readonly readsCaller: boolean;
}

/** The functions of an app, as live functions need them. `functions/live-calls.ts` is behind it. */
export interface LiveFunctionCalls {
  /**
   * Whether the caller may subscribe to it.
   *
   * @throws PylonError FN_NOT_FOUND, FN_TYPE_MISMATCH, INVALID_ARGS, INSUFFICIENT_SCOPE
   */
  check(name: string, args: Readonly<Record<string, unknown>>, caller: Caller): void;
  /**
   * Counts a subscription that makes a run of its own necessary, as a call over HTTP counts.
   *
   * @param connection names the caller where nobody is signed in
   * @throws PylonError RATE_LIMITED
   */
  count(name: string, caller: Caller, connection: string): Promise<void>;
  /** Runs it in one snapshot of the database. Rejects by a fault of ours alone. */
  run(call: LiveCall): Promise<LiveOutcome>;
}
