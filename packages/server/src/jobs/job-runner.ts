import { PylonError } from "@pylonsync/protocol";
import {
  parseArgs,
  type ActionJob,
  type BatchResult,
  type FnDefinition,
} from "@pylonsync/functions";
import type { Transaction } from "../store/store.ts";
import type { JobProgress } from "../store/system-tables.ts";
import { ANONYMOUS } from "../identity/identity.ts";
import type { Functions } from "../functions/call.ts";
import type { Runner } from "../functions/runner.ts";
import type { Platform, Timer } from "../platform.ts";
import { errorText } from "../util/errors.ts";
import { FinalFailure } from "../util/final-failure.ts";
import type { Crons } from "./crons.ts";
import type { Job, LeasedJob } from "./job.ts";
import type { AttemptOutcome } from "./job-changes.ts";
import type { JobTable, LeaseHolder } from "./job-table.ts";
import { TakeAhead } from "./take-ahead.ts";

/** The duration of a lease unless it is renewed, in milliseconds. */
const LEASE_MS = 30_000;
const RENEW_MS = LEASE_MS / 3;
/** How often an idle runner looks for jobs of other replicas, in milliseconds. */
const POLL_MS = 1_000;
/** How often a busy runner looks for jobs that have become due, in milliseconds. */
const DUE_POLL_MS = 100;
/** How long an idle server that has the jobs alone relies on what it has found, in milliseconds. */
const QUIET_MS = 5_000;
/** The lease of a mutation outlasts its timeout by this, in milliseconds. */
const MUTATION_MARGIN_MS = 10_000;
/** The maximum length of the error that is stored with a job, in characters. */
const MAX_ERROR_LENGTH = 2_000;
const MAX_NOTE_LENGTH = 500;

/** Observes jobs, for logs and metrics. */
export interface JobObserver {
  /** Called when an attempt has ended. `dead`: it was the last one. */
  ended(job: LeasedJob, outcome: "completed" | "failed" | "dead" | "lost", ms: number): void;
  /** Called when a job is dead: its last attempt failed, or was lost with its runner. */
  readonly died: (job: Job) => void;
  /** Called when the database failed; the runner tries again. */
  failed(error: unknown): void;
}

/** An attempt at a task of the server. */
export interface TaskAttempt {
  readonly job: LeasedJob;
  /** Aborted when the job is no longer this runner's. */
  readonly signal: AbortSignal;
  /**
   * Lets a transaction commit only if the job is this runner's.
   *
   * @throws PylonError JOB_LOST
   */
  readonly hold: (tx: Transaction) => Promise<void>;
  /** Ends the attempt within a transaction. @throws PylonError JOB_LOST */
  readonly finish: (tx: Transaction, outcome: AttemptOutcome) => Promise<void>;
}

/** A task of the server: it ends its attempts itself; an error that it throws fails the attempt. */
export type Task = (attempt: TaskAttempt) => Promise<void>;

/** The services of the runner. */
export interface JobRunnerServices {
  readonly table: JobTable;
  /** Whether no other server has these jobs: then `wake` is told of all that are added. */
  readonly isAlone: boolean;
  readonly crons: Crons;
  readonly runner: Pick<Runner, "run">;
  readonly functions: () => Functions;
  /** The tasks by the names of their jobs, which no function can have. */
  readonly tasks: ReadonlyMap<string, Task>;
  readonly platform: Platform;
  readonly observer: JobObserver;
  /** Runs an attempt as part of the trace of the write that created the job. */
  readonly traced: <T>(job: Job, attempt: () => Promise<T>) => Promise<T>;
  /** The maximum number of jobs that this replica runs at the same time. */
  readonly concurrency: number;
  /** The timeout of a function call, in milliseconds. */
  readonly timeoutMs: number;
  /**
   * Resolves when a function that never returns would be noticed. No function is called before
   * that: each restart would run a job that loops again, and stop forever.
   */
  readonly watched: () => Promise<void>;
}

interface RunningJob {
  readonly job: LeasedJob;
  readonly abort: AbortController;
  readonly done: Promise<void>;
  /**
   * Whether its lease is renewed while it runs. A mutation ends its job in its own transaction, and
   * a renewal would only conflict with it.
   */
  readonly isRenewed: boolean;
  /** Whether it does not count towards the maximum number of jobs. */
  readonly isShort: boolean;
}

/** A mutation or a task has ended its job in its own transaction. */
const ENDED = { kind: "ended" } as const;
type CallOutcome = AttemptOutcome | typeof ENDED;

/** Ends an attempt whose job is no longer this runner's: none of its results count. */
class LeaseLost extends PylonError {
  constructor(message: string) {
    super("JOB_LOST", message);
  }
}

/**
 * Runs jobs on this replica: takes them from the table, calls their functions, and stores the
 * outcomes. A mutation's effect and the end of its job are one transaction, so the effect happens
 * once even if a process is killed; a query or an action may run again if its runner is lost.
 */
export class JobRunner {
  readonly #services: JobRunnerServices;
  readonly #running = new Map<string, RunningJob>();
  readonly #ahead = new TakeAhead();
  readonly #holder: LeaseHolder = {
    runs: ({ id, lease }) => this.#running.get(id)?.job.lease === lease,
    leaseMsOf: (job) => this.#leaseMsOf(job),
  };
  /** Batches that will be checked. */
  readonly #batches = new Set<string>();
  /** Outcomes of attempts that are not stored yet. */
  #ended: { readonly job: LeasedJob; readonly outcome: AttemptOutcome }[] = [];
  #flushing: Promise<void> | null = null;
  #timer: Timer | undefined;
  #wakeAt = Infinity;
  #looking: Promise<void> | null = null;
  #mustPollAgain = false;
  #failures = 0;
  /** The error that was reported last, if there has been no look without an error since. */
  #failure: string | null = null;
  #renewal: Timer | undefined;
  /** When it next looks for jobs that have become due, in milliseconds since 1970. */
  #settleAt = 0;
  /** Until when there is nothing to do unless something happens; only used by a server alone. */
  #quietUntil = 0;
  /** Grows with everything that may bring work, so that a look detects what happened during it. */
  #occasions = 0;
  /** The time of the last look, which detects a clock that was set back, even before the start. */
  #lookedAt = Infinity;
  #isStopping = false;

  constructor(services: JobRunnerServices) {
    this.#services = services;
  }

  /** The number of jobs that run on this replica. */
  get runningCount(): number {
    return this.#running.size;
  }

  start(): void {
    this.#renewal = this.#services.platform.every(RENEW_MS, () => void this.#renew()).unref();
    this.wake([0]);
  }

  /** Looks for work at these times, in milliseconds since 1970. */
  wake(times: readonly number[]): void {
    if (this.#isStopping) return;
    this.#mayHaveWork();
    for (const at of times) {
      this.#settleAt = Math.min(this.#settleAt, at);
      this.#wakeBy(at);
    }
  }

  /** Aborts a job that was cancelled, if it runs on this replica. */
  abort(id: string): void {
    this.#running.get(id)?.abort.abort(new LeaseLost("The job was cancelled."));
  }

  /**
   * Takes no more jobs, and waits for the running ones. Jobs that have not ended in time are
   * returned to the queue, for another replica or the next start.
   *
   * @param withinMs how long to wait, in milliseconds
   */
  async stop(withinMs: number): Promise<void> {
    this.#isStopping = true;
    this.#timer?.cancel();
    this.#renewal?.cancel();
    await this.#looking;
    const { platform, table } = this.#services;
    const running = [...this.#running.values()];
    const isInTime = new Promise<void>((resolve) => {
      const late = platform.after(withinMs, resolve);
      void Promise.all(running.map(({ done }) => done)).then(() => {
        late.cancel();
        resolve();
      });
    });
    await isInTime;
    const rest = [...this.#running.values()];
    for (const { abort } of rest) abort.abort(new LeaseLost("The server is stopping."));
    await this.#flush();
    if (rest.length > 0) await table.release(rest.map(({ job }) => job));
  }

  #wakeBy(at: number): void {
    if (at >= this.#wakeAt) return;
    this.#timer?.cancel();
    this.#wakeAt = at;
    const { platform } = this.#services;
    const ms = Math.max(0, at - platform.now());
    this.#timer = platform.after(Math.min(ms, POLL_MS), () => this.#look()).unref();
  }

  /** Looks for work, once at a time: a call during a look causes another look after it. */
  #look(): void {
    this.#wakeAt = Infinity;
    if (this.#isStopping) return;
    if (this.#looking !== null) {
      this.#mustPollAgain = true;
      return;
    }
    const failures = this.#failures;
    this.#looking = this.#takeWork()
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#looking = null;
        if (this.#failures === failures) this.#failure = null;
        if (this.#mustPollAgain) {
          this.#mustPollAgain = false;
          this.#look();
        } else {
          this.#wakeBy(this.#services.platform.now() + POLL_MS);
        }
      });
  }

  /** Reports an error, but not again and again while the database is unavailable. */
  #failed(error: unknown): void {
    this.#failures += 1;
    const text = errorText(error);
    if (text === this.#failure) return;
    this.#failure = text;
    this.#services.observer.failed(error);
  }

  async #takeWork(): Promise<void> {
    const { table, platform, concurrency, observer } = this.#services;
    if (concurrency === 0) return;
    await this.#followClock();
    await this.#settleCrons();
    if (platform.now() < this.#quietUntil) return this.#wakeBy(this.#quietUntil);
    const before = this.#occasions;
    if (platform.now() >= this.#settleAt) {
      this.#settleAt = platform.now() + DUE_POLL_MS;
      if ((await table.settleDue(observer.died, this.#holder)) > 0) this.#settleAt = 0;
    }
    const free = concurrency + this.#ahead.size - this.#running.size;
    if (free <= 0 || this.#isStopping) return;
    const jobs = await table.take(free, this.#holder.leaseMsOf);
    this.#ahead.took(jobs, free);
    if (jobs.length > 0) await this.#services.watched();
    await this.#beginAll(jobs);
    if (jobs.length === free) return;
    const next = await table.nextDue();
    if (jobs.length === 0 && before === this.#occasions) this.#beQuiet(next);
    if (next === null) return;
    this.#settleAt = Math.min(this.#settleAt, next);
    this.#wakeBy(Math.max(next, platform.now() + 1));
  }

  /**
   * Skips the database in the next looks of an idle server that has the jobs alone: each read would
   * cost as much as a request. The time is limited, for jobs that a tool has put into the file.
   */
  #beQuiet(next: number | null): void {
    if (!this.#services.isAlone || this.#running.size > 0) return;
    this.#quietUntil = Math.min(this.#services.platform.now() + QUIET_MS, next ?? Infinity);
  }

  /** There may be work: what a look has found, or is about to find, no longer holds. */
  #mayHaveWork(): void {
    this.#occasions += 1;
    this.#quietUntil = 0;
  }

  /**
   * Begins jobs. Jobs that were taken ahead, but are not short, are returned if there is no place.
   */
  async #beginAll(jobs: readonly LeasedJob[]): Promise<void> {
    const { table, concurrency } = this.#services;
    let places = concurrency - [...this.#running.values()].filter(({ isShort }) => !isShort).length;
    const excess: LeasedJob[] = [];
    for (const job of jobs) {
      const isShort = this.#ahead.isShort(job.name);
      if (isShort || places > 0) this.#begin(job, isShort);
      else excess.push(job);
      if (!isShort) places -= 1;
    }
    if (excess.length > 0) await table.release(excess);
  }

  /** If the clock was set back, what was due soon would wait for as long as it was set back. */
  async #followClock(): Promise<void> {
    const { table, platform } = this.#services;
    if (platform.now() >= this.#lookedAt) {
      this.#lookedAt = platform.now();
      return;
    }
    await table.clockSetBack(this.#holder.leaseMsOf);
    this.#lookedAt = platform.now();
    this.#settleAt = 0;
    this.#quietUntil = 0;
  }

  /** Creates the jobs of due crons. A failure is reported, and delays no other job. */
  async #settleCrons(): Promise<void> {
    const { crons, platform } = this.#services;
    const due = crons.nextDue;
    try {
      await crons.settleDue();
      if (crons.nextDue !== null) this.#wakeBy(Math.max(crons.nextDue, platform.now() + 1));
    } catch (error) {
      this.#failed(error);
    }
    // Afterwards, because its time may have come since.
    if (due !== null && due <= platform.now()) this.#mayHaveWork();
  }

  #leaseMsOf({ name, timeoutMs }: { readonly name: string; readonly timeoutMs: number | null }) {
    return this.#typeOf(name) === "mutation"
      ? Math.max(LEASE_MS, (timeoutMs ?? this.#services.timeoutMs) + MUTATION_MARGIN_MS)
      : LEASE_MS;
  }

  #typeOf(name: string): FnDefinition["type"] | undefined {
    return this.#services.functions().get(name)?.type;
  }

  #begin(job: LeasedJob, isShort: boolean): void {
    const abort = new AbortController();
    const lost = this.#running.get(job.id);
    // It still runs here, under a lost lease: it must never run twice at the same time.
    lost?.abort.abort(new LeaseLost("Another attempt holds the job's lease."));
    const attempt = (): Promise<void> => this.#attempt(job, abort.signal);
    const done = (lost === undefined ? attempt() : lost.done.then(attempt)).finally(() => {
      if (this.#running.get(job.id)?.job === job) this.#running.delete(job.id);
      // A place has become free.
      this.#mayHaveWork();
      if (!this.#isStopping) this.#wakeBy(0);
    });
    const isRenewed = this.#typeOf(job.name) !== "mutation";
    this.#running.set(job.id, { job, abort, done, isRenewed, isShort });
  }

  async #attempt(job: LeasedJob, signal: AbortSignal): Promise<void> {
    const { platform, observer } = this.#services;
    const started = platform.monotonic();
    const outcome = await this.#services.traced(job, () => this.#call(job, signal));
    const isDead =
      outcome?.kind === "failed" && (outcome.isFinal || job.attempts >= job.maxAttempts);
    const isDone = outcome?.kind !== "failed";
    const ended = outcome === null ? "lost" : isDead ? "dead" : isDone ? "completed" : "failed";
    const ms = platform.monotonic() - started;
    observer.ended(job, ended, ms);
    if (ended === "dead") observer.died(job);
    if (outcome === null) return;
    if (outcome.kind !== "ended") {
      this.#ended.push({ job, outcome });
      await this.#flush();
    }
    if (job.batchId !== null && (isDone || isDead)) this.#settleBatch(job.batchId);
  }

  /** Checks whether a batch has ended, once for all of its jobs that end at the same time. */
  #settleBatch(id: string): void {
    const { table, platform, observer } = this.#services;
    // If the server stops, a later check finds that the batch has ended.
    if (this.#isStopping || this.#batches.has(id)) return;
    this.#batches.add(id);
    platform.soon(() => {
      this.#batches.delete(id);
      table.settleBatch(id).then(
        (isReady) => isReady && this.wake([0]),
        // The batch is checked again later.
        (error: unknown) => observer.failed(error),
      );
    });
  }

  /** @returns null if the job is no longer this runner's */
  async #call(job: LeasedJob, signal: AbortSignal): Promise<CallOutcome | null> {
    const { runner, functions, table, tasks } = this.#services;
    let argsFit = false;
    try {
      const task = tasks.get(job.name);
      if (task !== undefined) {
        await task(this.#taskAttempt(job, signal));
        return ENDED;
      }
      const definition = functions().get(job.name);
      if (definition === undefined)
        // A newer version of the app, which is starting elsewhere, may have it.
        throw new PylonError("FN_NOT_FOUND", `The function "${job.name}" does not exist.`);
      const args: unknown = JSON.parse(job.args);
      parseArgs(definition, args, { supplied: [] });
      argsFit = true;
      await runner.run(job.name, definition, args, {
        caller: ANONYMOUS,
        readerShare: () => `jobs ${job.queue}`,
        requestId: `job_${job.id}`,
        isForOperators: true,
        isTrusted: true,
        isInBackground: true,
        signal,
        job: this.#jobOf(job),
        handled: (ms) => this.#ahead.ran(job.name, ms),
        startedBy: job.startedBy,
        ...(job.timeoutMs === null ? {} : { timeoutMs: job.timeoutMs }),
        beforeCommit: (tx) =>
          table.completeAtEnd(
            tx,
            job,
            () => new LeaseLost("Another runner holds the job's lease."),
          ),
      });
      return definition.type === "mutation" ? ENDED : { kind: "completed" };
    } catch (error) {
      if (error instanceof LeaseLost || signal.reason instanceof LeaseLost) return null;
      const text = error instanceof Error ? error.message : String(error);
      return {
        kind: "failed",
        error: text.slice(0, MAX_ERROR_LENGTH),
        isFinal:
          error instanceof FinalFailure ||
          (!argsFit && error instanceof PylonError && error.code === "INVALID_ARGS"),
      };
    }
  }

  #taskAttempt(job: LeasedJob, signal: AbortSignal): TaskAttempt {
    const { table } = this.#services;
    const mustBe = (isOurs: boolean): void => {
      if (!isOurs) throw new LeaseLost("Another runner holds the job's lease.");
    };
    return {
      job,
      signal,
      hold: async (tx) => mustBe(await table.hold(tx, job, LEASE_MS)),
      finish: async (tx, outcome) => mustBe(await table.finish(tx, job, outcome)),
    };
  }

  /** Returns `ctx.job` of the job's function. */
  #jobOf(job: LeasedJob): ActionJob {
    return {
      id: job.id,
      attempt: job.attempts,
      batch: batchResultOf(job),
      setProgress: async (fraction, note) => {
        const progress = progressOf(fraction, note);
        if (!(await this.#services.table.setProgress(job, progress)))
          throw new LeaseLost("This server no longer holds the job's lease.");
      },
    };
  }

  /** Stores all outcomes that have accumulated. */
  async #flush(): Promise<void> {
    while (this.#flushing !== null) await this.#flushing;
    const ended = this.#ended;
    if (ended.length === 0) return;
    this.#ended = [];
    // If an outcome can't be stored, the job runs again when its lease has expired; the failure is
    // reported.
    this.#flushing = this.#services.table
      .finishAll(ended)
      .catch((error: unknown) => this.#services.observer.failed(error))
      .finally(() => {
        this.#flushing = null;
      });
    await this.#flushing;
  }

  async #renew(): Promise<void> {
    const renewed = [...this.#running.values()].filter(({ isRenewed }) => isRenewed);
    if (renewed.length === 0) return;
    const { table, observer } = this.#services;
    try {
      const lost = await table.renew(
        renewed.map(({ job }) => job),
        LEASE_MS,
      );
      for (const { id } of lost) this.abort(id);
    } catch (error) {
      observer.failed(error);
    }
  }
}

function batchResultOf({ batch }: LeasedJob): BatchResult | null {
  const { total, completed, failed } = batch ?? { total: 0, completed: null, failed: null };
  return completed === null || failed === null ? null : { total, completed, failed };
}

/** @throws PylonError INVALID_ARGS */
function progressOf(fraction: unknown, note: unknown = null): JobProgress {
  if (typeof fraction !== "number" || !(fraction >= 0 && fraction <= 1))
    throw new PylonError("INVALID_ARGS", "The progress of a job must be a number from 0 to 1.", {
      field: "fraction",
    });
  if (note !== null && (typeof note !== "string" || note.length > MAX_NOTE_LENGTH))
    throw new PylonError(
      "INVALID_ARGS",
      `The note of a job's progress must be a string of at most ${MAX_NOTE_LENGTH} characters.`,
      { field: "note" },
    );
  return { fraction, note };
}
