import {
  isRowId,
  MAX_JOB_ARGS_BYTES,
  MAX_JOB_ATTEMPTS,
  MAX_JOB_DELAY_MS,
  MAX_SCHEDULED_PER_CALL,
  PylonError,
} from "@pylonsync/protocol";
import type { ScheduleOptions, Scheduler } from "@pylonsync/functions";
import { isRecord } from "../util/is-record.ts";
import type { Transaction } from "../store/store.ts";

/** The methods of `Scheduler` without the app's types: they accept any function. */
export interface LooseScheduler extends Pick<Scheduler, "runBatch" | "cancel"> {
  runAfter(
    delayMs: number,
    name: string,
    args?: Readonly<Record<string, unknown>>,
    options?: ScheduleOptions,
  ): Promise<string>;
  runAt(
    unixMs: number,
    name: string,
    args?: Readonly<Record<string, unknown>>,
    options?: ScheduleOptions,
  ): Promise<string>;
}

/** The priorities of jobs within their queue and key, the lowest first. */
export const PRIORITIES = ["low", "normal", "high", "critical"] as const;
/** One of PRIORITIES. */
export type JobPriority = (typeof PRIORITIES)[number];

/** A call of a function that is scheduled for later. */
export interface ScheduledCall {
  readonly name: string;
  /** The arguments, as JSON text. */
  readonly args: string;
  readonly queue: string;
  readonly priority: JobPriority;
  /** The earliest start, in milliseconds since 1970. */
  readonly dueAt: number;
  /**
   * The delay that leads to `dueAt`, in milliseconds; absent if the call names a time, which is
   * the same however the clock is set.
   */
  readonly delayMs?: number;
  /** The maximum number of attempts, including the first one. */
  readonly maxAttempts: number;
  /** The timeout of one attempt, in milliseconds; null for the default timeout of functions. */
  readonly timeoutMs: number | null;
  /** The jobs of a queue are distributed fairly by this key; null counts as one key. */
  readonly key: string | null;
  /**
   * While a job with the same dedupe key waits or runs, no second job is created; null for none.
   */
  readonly dedupeKey: string | null;
  /** The id of the job that runs after the batch to which this job belongs. */
  readonly batchId?: string;
  /** The number of jobs of its batch after which it runs. */
  readonly runsAfter?: number;
  /** The user whose call scheduled it. */
  readonly startedBy?: string | null;
}

/** Stores scheduled calls; implemented by jobs/. */
export interface JobQueue {
  /** The current time of the queue, in milliseconds since 1970. */
  now(): number;
  /** @returns the job's id */
  add(tx: Transaction, call: ScheduledCall): Promise<string>;
  /** Returns the id for a new job. */
  newId(): string;
  /** Creates jobs with these ids, from calls without a dedupe key. */
  addMany(tx: Transaction, jobs: readonly { id: string; call: ScheduledCall }[]): Promise<void>;
  /** @returns whether the job existed and had not ended */
  cancel(tx: Transaction, id: string): Promise<boolean>;
  /** Called after the commit with the due times of the added jobs, in milliseconds since 1970. */
  wake(times: readonly number[]): void;
}

/** Returns the queue with jobs that record who started them. @param startedBy a user */
export function startedBy(queue: JobQueue, startedBy: string | null): JobQueue {
  return {
    add: (tx, call) => queue.add(tx, { ...call, startedBy }),
    addMany: (tx, jobs) =>
      queue.addMany(
        tx,
        jobs.map(({ id, call }) => ({ id, call: { ...call, startedBy } })),
      ),
    newId: () => queue.newId(),
    now: () => queue.now(),
    cancel: (tx, id) => queue.cancel(tx, id),
    wake: (times) => queue.wake(times),
  };
}

/** The queue of calls that name no queue. */
export const DEFAULT_QUEUE = "functions";
const DEFAULT_RETRIES = 3;
const MAX_TIMEOUT_SECONDS = 3600;
const MAX_KEY_LENGTH = 512;
const QUEUE_NAME = /^[\w.-]{1,64}$/;
const OPTIONS = ["queue", "priority", "maxRetries", "timeoutSecs", "key", "dedupeKey"] as const;

const BATCH_KEYS = ["name", "args", "options"] as const;

/** The maximum size of collected arguments before they are written, in bytes. */
const MAX_COLLECTED_BYTES = 1_048_576;

/** `ctx.scheduler` of a mutation. Its calls become part of the transaction when it is closed. */
export class TransactionScheduler implements LooseScheduler {
  readonly #queue: JobQueue;
  readonly #now: () => number;
  readonly #tx: Transaction;
  readonly #times: number[] = [];
  /** Calls that are not written yet. They are written together. */
  #collected: { readonly id: string; readonly call: ScheduledCall }[] = [];
  #collectedBytes = 0;
  #isClosed = false;

  constructor(queue: JobQueue, tx: Transaction) {
    this.#queue = queue;
    this.#now = () => queue.now();
    this.#tx = tx;
  }

  /** The due times of the added jobs. */
  get times(): readonly number[] {
    return this.#times;
  }

  readonly runAfter: LooseScheduler["runAfter"] = async (delayMs, name, args, options) =>
    this.#add(scheduledCall(this.#now, name, delayOf(delayMs), args, options));

  readonly runAt: LooseScheduler["runAt"] = async (unixMs, name, args, options) => {
    const delayMs = delayUntil(unixMs, this.#now());
    const { delayMs: _relative, ...call } = scheduledCall(this.#now, name, delayMs, args, options);
    return this.#add(call);
  };

  readonly runBatch: LooseScheduler["runBatch"] = async (calls, after) => {
    if (!Array.isArray(calls)) throw invalid("calls", "The calls of a batch must be a list.");
    const all = calls.map((call: unknown) => batchCall(this.#now, call, "calls"));
    const last = batchCall(this.#now, after, "after");
    const id = this.#queue.newId();
    for (const call of all) await this.#add({ ...call, batchId: id });
    return this.#add({ ...last, runsAfter: all.length }, id);
  };

  readonly cancel: LooseScheduler["cancel"] = async (id) => {
    if (!isRowId(checkedJobId(id))) return false;
    await this.#flush();
    return this.#queue.cancel(this.#tx, id);
  };

  /** Writes the collected calls. Nothing can be added afterwards. */
  async close(): Promise<void> {
    this.end();
    await this.#flush();
  }

  /** Ends the scheduler: nothing can be added, because it would never be written. */
  end(): void {
    this.#isClosed = true;
  }

  async #flush(): Promise<void> {
    const collected = this.#collected;
    this.#collected = [];
    this.#collectedBytes = 0;
    if (collected.length > 0) await this.#queue.addMany(this.#tx, collected);
  }

  async #add(call: ScheduledCall, givenId?: string): Promise<string> {
    if (this.#isClosed)
      throw new Error(
        "The transaction has ended: await every call of ctx.scheduler before the handler returns.",
      );
    if (this.#times.length >= MAX_SCHEDULED_PER_CALL)
      throw new PylonError(
        "TRANSACTION_TOO_LARGE",
        `A call may schedule at most ${MAX_SCHEDULED_PER_CALL} other calls.`,
        { hint: "Schedule a call that schedules the next calls." },
      );
    this.#times.push(call.dueAt);
    if (call.dedupeKey !== null) return this.#queue.add(this.#tx, call);
    const id = givenId ?? this.#queue.newId();
    this.#collected.push({ id, call });
    this.#collectedBytes += call.args.length;
    if (this.#collectedBytes > MAX_COLLECTED_BYTES) await this.#flush();
    return id;
  }
}

/** `ctx.scheduler` of an action, which adds each call in a separate transaction. */
export class ActionScheduler implements LooseScheduler {
  readonly #queue: JobQueue;
  readonly #transact: <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>;

  constructor(queue: JobQueue, transact: <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>) {
    this.#queue = queue;
    this.#transact = transact;
  }

  readonly runAfter: LooseScheduler["runAfter"] = (...call) =>
    this.#schedule((scheduler) => scheduler.runAfter(...call));

  readonly runAt: LooseScheduler["runAt"] = (...call) =>
    this.#schedule((scheduler) => scheduler.runAt(...call));

  readonly runBatch: LooseScheduler["runBatch"] = (...batch) =>
    this.#schedule((scheduler) => scheduler.runBatch(...batch));

  readonly cancel: LooseScheduler["cancel"] = (id) =>
    this.#schedule((scheduler) => scheduler.cancel(id));

  async #schedule<T>(work: (scheduler: TransactionScheduler) => Promise<T>): Promise<T> {
    let times: readonly number[] = [];
    const result = await this.#transact(async (tx) => {
      const scheduler = new TransactionScheduler(this.#queue, tx);
      const done = await work(scheduler);
      await scheduler.close();
      times = scheduler.times;
      return done;
    });
    this.#queue.wake(times);
    return result;
  }
}

/**
 * Validates a call that is scheduled for later.
 *
 * @param delayMs the delay from now, in milliseconds
 * @throws PylonError INVALID_ARGS, PAYLOAD_TOO_LARGE
 */
export function scheduledCall(
  now: () => number,
  name: unknown,
  delayMs: number,
  args: unknown = {},
  options: ScheduleOptions = {},
): ScheduledCall {
  if (!isFunctionName(name)) throw invalid("name", "A scheduled call must have a function.");
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw invalid("options", "The options of a scheduled call must be an object.", OPTIONS);
  const [unknown] = Object.keys(options).filter((key) => !OPTIONS.some((known) => known === key));
  if (unknown !== undefined)
    throw invalid(unknown, `A scheduled call has no option "${unknown.slice(0, 80)}".`, OPTIONS);
  const { queue = DEFAULT_QUEUE, priority = "normal", maxRetries = DEFAULT_RETRIES } = options;
  if (typeof queue !== "string" || !QUEUE_NAME.test(queue))
    throw invalid("queue", "The name of a queue must have 1 to 64 letters, digits, dots, - and _.");
  if (!PRIORITIES.includes(priority))
    throw invalid("priority", "The priority is not valid.", PRIORITIES);
  if (!Number.isInteger(maxRetries) || maxRetries < 0 || maxRetries >= MAX_JOB_ATTEMPTS)
    throw invalid("maxRetries", `A call may be retried 0 to ${MAX_JOB_ATTEMPTS - 1} times.`);
  return {
    name,
    args: encodedArgs(args),
    queue,
    priority,
    dueAt: now() + delayMs,
    delayMs,
    maxAttempts: maxRetries + 1,
    timeoutMs: timeoutOf(options.timeoutSecs),
    key: keyOf("key", options.key),
    dedupeKey: keyOf("dedupeKey", options.dedupeKey),
  };
}

/** @throws PylonError INVALID_ARGS, PAYLOAD_TOO_LARGE */
function batchCall(now: () => number, given: unknown, field: string): ScheduledCall {
  if (!isRecord(given))
    throw invalid(
      field,
      "A call of a batch must be an object with the name of a function.",
      BATCH_KEYS,
    );
  const [unknown] = Object.keys(given).filter((key) => !BATCH_KEYS.some((known) => known === key));
  if (unknown !== undefined)
    throw invalid(
      unknown,
      `A call of a batch has no option "${unknown.slice(0, 80)}".`,
      BATCH_KEYS,
    );
  const { name, args, options } = given;
  const call = scheduledCall(now, name, 0, args, asOptions(options));
  if (call.dedupeKey === null) return call;
  throw invalid("dedupeKey", "A call of a batch can't be deduplicated: remove its dedupeKey.");
}

/** The values of the options are validated where they are used. */
function asOptions(options: unknown): ScheduleOptions | undefined {
  if (options === undefined || isRecord(options)) return options;
  throw invalid("options", "The options of a scheduled call must be an object.", OPTIONS);
}

/** Whether a store can store the name: without NUL and unpaired surrogates. */
function isFunctionName(name: unknown): name is string {
  if (typeof name !== "string" || name === "" || name.length > 256) return false;
  return name.isWellFormed() && !name.includes("\0");
}

/** @throws PylonError INVALID_ARGS */
export function delayOf(delayMs: unknown): number {
  if (typeof delayMs === "number" && delayMs >= 0 && delayMs <= MAX_JOB_DELAY_MS)
    return Math.round(delayMs);
  throw invalid("delayMs", "The delay must be a number of milliseconds from 0 to ten years.");
}

/** Returns the delay until a time; 0 for a time in the past. @throws PylonError INVALID_ARGS */
function delayUntil(unixMs: unknown, now: number): number {
  if (typeof unixMs === "number" && unixMs >= 0) return delayOf(Math.max(0, unixMs - now));
  throw invalid("unixMs", "The time must be a number of milliseconds since 1970.");
}

function timeoutOf(seconds: unknown): number | null {
  if (seconds === undefined) return null;
  if (typeof seconds === "number" && seconds > 0 && seconds <= MAX_TIMEOUT_SECONDS)
    return Math.ceil(seconds * 1000);
  throw invalid(
    "timeoutSecs",
    `The timeout of an attempt may be at most ${MAX_TIMEOUT_SECONDS} seconds.`,
  );
}

function keyOf(field: string, key: unknown): string | null {
  if (key === undefined) return null;
  if (typeof key === "string" && key !== "" && key.length <= MAX_KEY_LENGTH) return key;
  throw invalid(field, `"${field}" must be a string of at most ${MAX_KEY_LENGTH} characters.`);
}

function checkedJobId(id: unknown): string {
  if (typeof id === "string" && id !== "") return id;
  throw invalid("id", "Scheduled calls are cancelled by their id.");
}

/** @throws PylonError INVALID_ARGS, PAYLOAD_TOO_LARGE */
function encodedArgs(args: unknown): string {
  if (typeof args !== "object" || args === null || Array.isArray(args))
    throw invalid("args", "The arguments of a scheduled call must be an object.");
  let text: string | undefined;
  try {
    text = JSON.stringify(args);
  } catch {
    // A cycle or a BigInt, which is reported below.
  }
  if (text === undefined)
    throw invalid("args", "The arguments of a scheduled call must be valid JSON.");
  if (Buffer.byteLength(text) > MAX_JOB_ARGS_BYTES)
    throw new PylonError(
      "PAYLOAD_TOO_LARGE",
      `The arguments of a scheduled call may have at most ${MAX_JOB_ARGS_BYTES} bytes.`,
      { field: "args", hint: "Store them in a row or a file, and pass its id." },
    );
  return text;
}

function invalid(field: string, message: string, known: readonly string[] = []): PylonError {
  const hint = known.length === 0 ? undefined : `Use ${known.join(", ")}.`;
  return new PylonError("INVALID_ARGS", message, {
    field,
    ...(hint === undefined ? {} : { hint }),
  });
}
