import type { ActionJob, FnDefinition } from "@pylonsync/functions";
import type { CommitOptions } from "../data/commit.ts";
import type { Caller } from "../identity/identity.ts";
import type { Reader, Transaction } from "../store/store.ts";
import type { Deadline } from "./deadline.ts";
import type { EncodedResult } from "./encode-result.ts";
import type { Isolate } from "./isolation.ts";
import type { CallTrace } from "./traces.ts";

/** The functions of an app by name. */
export type Functions = ReadonlyMap<string, FnDefinition>;

/** The caller and the options of a function call. */
export interface Call {
  readonly caller: Caller;
  /** Names the share of the store's readers that its queries use. */
  readonly readerShare: () => string;
  readonly requestId: string;
  /** Makes retries of a mutation idempotent. */
  readonly op?: CommitOptions["op"];
  /** Aborted when the result is no longer needed, such as when the client disconnects. */
  readonly signal?: AbortSignal | undefined;
  readonly stream?: FunctionStream | undefined;
  /** The HTTP request of a webhook. */
  readonly request?: WebhookRequest | undefined;
  /** The job that makes the call. */
  readonly job?: ActionJob | undefined;
  /** The user who started the job or run that makes the call, if no user is signed in. */
  readonly startedBy?: string | null | undefined;
  /** Only the server's operators see its error, so the error contains what was thrown. */
  readonly isForOperators?: boolean | undefined;
  /**
   * The call comes from the server or a function of the app. Calls from outside must be allowed
   * by the function's `auth`.
   */
  readonly isTrusted?: boolean | undefined;
  /** No client waits for the result, so short mutations may share a transaction. */
  readonly isInBackground?: boolean | undefined;
  /** The timeout in milliseconds, if it differs from the default. */
  readonly timeoutMs?: number | undefined;
  /** Called with the duration of a mutation's handler in milliseconds, without its commit. */
  readonly handled?: ((ms: number) => void) | undefined;
  /** Observes what a query reads. */
  readonly watch?: RunWatch | undefined;
  /**
   * Runs in a mutation's transaction after its handler. Its writes are committed together with
   * the handler's; an error rolls back both.
   */
  readonly beforeCommit?: ((tx: Transaction, result: EncodedResult) => Promise<void>) | undefined;
  /** The process of the calling function, which this call also uses if it is isolated. */
  readonly isolate?: Isolate | undefined;
}

/** A running call of a function. */
export interface RunningCall {
  readonly name: string;
  readonly definition: FnDefinition;
  readonly call: Call;
  readonly trace: CallTrace;
  readonly deadline: Deadline;
  readonly isIsolated: boolean;
}

/** Observes what the run of a query reads, so that it can run again when that changes. */
export interface RunWatch {
  /** The seed of `ctx.random` and `ctx.uuid`. */
  readonly seed: string;
  /** Called when a run begins, including repeats. @returns the reader that it must use */
  begin(reader: Reader): Reader;
  /** Called when the handler reads `ctx.auth`. */
  readCaller(): void;
}

/** The destination of `ctx.stream`. */
export interface FunctionStream {
  write(text: string): Promise<void>;
  writeEvent(event: string, text: string): Promise<void>;
}

/** The HTTP request that called a webhook. */
export interface WebhookRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly rawBody: string;
}

/** Returns the user who may follow the jobs and runs that the call starts. */
export function starterOf({ caller, startedBy = null }: Call): string | null {
  return caller.userId ?? startedBy;
}

const SILENT: FunctionStream = {
  write: () => Promise.resolve(),
  writeEvent: () => Promise.resolve(),
};

/** Returns `ctx.stream`. If the caller does not read a stream, the output is discarded. */
export function streamOf({ call, trace }: RunningCall): FunctionStream {
  return call.stream === undefined ? SILENT : trace.counted(call.stream);
}
