import type { Functions } from "../../functions/call.ts";
import type { Platform, Timer } from "../../platform.ts";
import { settledWithin } from "../../util/time-limit.ts";
import type { LeasedJob } from "../job.ts";
import type { JobTable, LeaseHolder } from "../job-table.ts";
import type { JobObserver } from "./job-observer.ts";
import { LEASE_MS, LeaseLost } from "./lease.ts";

const RENEW_MS = LEASE_MS / 3;
/** The lease of a mutation outlasts its timeout by this, in milliseconds. */
const MUTATION_MARGIN_MS = 10_000;

/** The dependencies of RunningJobs. */
export interface RunningJobsOptions {
  readonly table: Pick<JobTable, "renew">;
  readonly platform: Pick<Platform, "after" | "every">;
  readonly functions: () => Functions;
  readonly observer: Pick<JobObserver, "failed">;
  /** The timeout of a function call, in milliseconds. */
  readonly timeoutMs: number;
  /** Attempts a job, and stores the outcome. */
  readonly attempt: (job: LeasedJob, signal: AbortSignal) => Promise<void>;
  /** Called when an attempt has ended. */
  readonly onFree: () => void;
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

/**
 * The jobs that run on this replica, and their leases: they are renewed while a job runs, and an
 * attempt whose lease is lost is aborted.
 */
export class RunningJobs implements LeaseHolder {
  readonly #options: RunningJobsOptions;
  readonly #running = new Map<string, RunningJob>();
  #renewal: Timer | undefined;

  constructor(options: RunningJobsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#running.size;
  }

  /** The number of jobs that count towards the maximum. */
  get counted(): number {
    return [...this.#running.values()].filter(({ isShort }) => !isShort).length;
  }

  readonly runs: LeaseHolder["runs"] = ({ id, lease }) =>
    this.#running.get(id)?.job.lease === lease;

  readonly leaseMsOf: LeaseHolder["leaseMsOf"] = ({ name, timeoutMs }) =>
    this.#isMutation(name)
      ? Math.max(LEASE_MS, (timeoutMs ?? this.#options.timeoutMs) + MUTATION_MARGIN_MS)
      : LEASE_MS;

  /** Renews the leases from now on. */
  start(): void {
    const { platform } = this.#options;
    this.#renewal = platform.every(RENEW_MS, () => void this.#renew()).unref();
  }

  /** Begins an attempt. @param isShort whether it does not count towards the maximum */
  begin(job: LeasedJob, isShort: boolean): void {
    const abort = new AbortController();
    const lost = this.#running.get(job.id);
    // It still runs here, under a lost lease: it must never run twice at the same time.
    lost?.abort.abort(new LeaseLost("Another attempt holds the job's lease."));
    const attempt = (): Promise<void> => this.#options.attempt(job, abort.signal);
    const done = (lost === undefined ? attempt() : lost.done.then(attempt)).finally(() => {
      if (this.#running.get(job.id)?.job === job) this.#running.delete(job.id);
      this.#options.onFree();
    });
    const isRenewed = !this.#isMutation(job.name);
    this.#running.set(job.id, { job, abort, done, isRenewed, isShort });
  }

  /** Aborts a job that was cancelled, if it runs on this replica. */
  abort(id: string): void {
    this.#running.get(id)?.abort.abort(new LeaseLost("The job was cancelled."));
  }

  /** Ends the renewal of leases. */
  stopRenewing(): void {
    this.#renewal?.cancel();
  }

  /**
   * Waits for all attempts, and aborts those that have not ended in time.
   *
   * @returns the jobs of the aborted attempts
   */
  async stop(withinMs: number): Promise<LeasedJob[]> {
    const all = [...this.#running.values()].map(({ done }) => done);
    await settledWithin(this.#options.platform, Promise.allSettled(all), withinMs);
    const rest = [...this.#running.values()];
    for (const { abort } of rest) abort.abort(new LeaseLost("The server is stopping."));
    return rest.map(({ job }) => job);
  }

  #isMutation(name: string): boolean {
    return this.#options.functions().get(name)?.type === "mutation";
  }

  async #renew(): Promise<void> {
    const renewed = [...this.#running.values()].filter(({ isRenewed }) => isRenewed);
    if (renewed.length === 0) return;
    const { table, observer } = this.#options;
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
