import type { AttemptOutcome } from "../job-changes.ts";
import type { JobTable } from "../job-table.ts";
import type { LeasedJob } from "../job.ts";
import type { JobObserver } from "./job-observer.ts";

/** The dependencies of Outcomes. */
export interface OutcomesOptions {
  readonly table: Pick<JobTable, "finishAll">;
  readonly observer: Pick<JobObserver, "failed">;
}

/** Stores the outcomes of attempts. Those that end during a transaction share the next one. */
export class Outcomes {
  readonly #options: OutcomesOptions;
  /** Outcomes that are not stored yet. */
  #waiting: { readonly job: LeasedJob; readonly outcome: AttemptOutcome }[] = [];
  #storing: Promise<void> | null = null;

  constructor(options: OutcomesOptions) {
    this.#options = options;
  }

  /** Resolves when the outcome is stored, or storing it has failed. */
  store(job: LeasedJob, outcome: AttemptOutcome): Promise<void> {
    this.#waiting.push({ job, outcome });
    return this.flush();
  }

  /** Stores all outcomes that have accumulated. */
  async flush(): Promise<void> {
    while (this.#storing !== null) await this.#storing;
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    const { table, observer } = this.#options;
    // If an outcome can't be stored, the job runs again when its lease has expired; the failure is
    // reported.
    this.#storing = table
      .finishAll(waiting)
      .catch((error: unknown) => observer.failed(error))
      .finally(() => {
        this.#storing = null;
      });
    await this.#storing;
  }
}
