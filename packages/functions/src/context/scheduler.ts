import type { ActionName, CalledName, MutationName, QueryName, ServerArgs } from "@pylonsync/sdk";

/** The name of a function that can be scheduled. */
type ScheduledName = QueryName | MutationName | ActionName;

/** The arguments after the name in a scheduled call. */
type ScheduledArgs<A> =
  Record<never, never> extends A
    ? [args?: A, options?: ScheduleOptions]
    : [args: A, options?: ScheduleOptions];

/** The options of a scheduled call. */
export interface ScheduleOptions {
  /** The jobs of a queue start in order; several queues take turns. Default `functions`. */
  readonly queue?: string;
  /** The priority within the queue. Default `normal`. */
  readonly priority?: "low" | "normal" | "high" | "critical";
  /** The number of retries of a failed call, with increasing delays. Default 3. */
  readonly maxRetries?: number;
  /** The timeout of one attempt, in seconds. Default: that of any function call. */
  readonly timeoutSecs?: number;
  /**
   * Calls with different keys take turns, so that thousands of calls of one tenant do not delay
   * those of others.
   */
  readonly key?: string;
  /** While a call with the same key waits or runs, no second one is created. */
  readonly dedupeKey?: string;
}

/**
 * Calls functions later: without a signed-in user, also after a restart of the server, and with
 * retries on failure. In a mutation the call is part of the transaction: if the handler throws,
 * nothing is scheduled.
 */
export interface Scheduler {
  /**
   * Calls a function after a delay in milliseconds.
   *
   * @returns the job's id
   * @example await ctx.scheduler.runAfter(15_000, "packOrder", { orderId });
   */
  runAfter<N extends string>(
    delayMs: number,
    name: CalledName<N, ScheduledName>,
    ...call: ScheduledArgs<ServerArgs<N>>
  ): Promise<string>;
  /** Calls a function at a time, in milliseconds since 1970. @returns the job's id */
  runAt<N extends string>(
    unixMs: number,
    name: CalledName<N, ScheduledName>,
    ...call: ScheduledArgs<ServerArgs<N>>
  ): Promise<string>;
  /**
   * Calls many functions, and then one more function after all of them have ended: succeeded,
   * failed after their last retry, or cancelled. Its `ctx.job.batch` has their numbers.
   *
   * @param calls up to 1000, without a `dedupeKey`
   * @returns the id of the final job, which is also the id of the batch
   * @example
   * const calls = rows.map((row) => ({ name: "importRow", args: { row } }));
   * await ctx.scheduler.runBatch(calls, { name: "importDone" });
   */
  runBatch(calls: readonly BatchCall[], after: BatchCall): Promise<string>;
  /** Cancels a call. @returns false if it has already ended, or does not exist */
  cancel(id: string): Promise<boolean>;
}

/** One call of a batch. */
export interface BatchCall {
  readonly name: string;
  readonly args?: Readonly<Record<string, unknown>>;
  readonly options?: ScheduleOptions;
}

/** The outcome of the jobs of a batch. */
export interface BatchResult {
  readonly total: number;
  readonly completed: number;
  /** The jobs that failed after their last retry, or were cancelled. */
  readonly failed: number;
}

/** The job that made the call. */
export interface JobInfo {
  readonly id: string;
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** For the final job of a batch: the outcome of the batch. */
  readonly batch: BatchResult | null;
}

/** The job that made the call of an action, which can report its progress. */
export interface ActionJob extends JobInfo {
  /**
   * Reports the job's progress to admins. Cheap enough to call several times per second.
   *
   * @param fraction from 0 to 1
   * @param note a description of at most 500 characters
   * @throws Error INVALID_ARGS; JOB_LOST if the job was cancelled or moved to another server
   * @example await ctx.job?.setProgress(done / total, `${done} of ${total} rows`);
   */
  setProgress(fraction: number, note?: string): Promise<void>;
}
