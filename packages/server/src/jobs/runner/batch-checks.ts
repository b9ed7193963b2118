import type { Platform } from "../../platform.ts";
import type { JobTable } from "../job-table.ts";
import type { JobObserver } from "./job-observer.ts";

/** The dependencies of BatchChecks. */
export interface BatchChecksOptions {
  readonly table: Pick<JobTable, "settleBatch">;
  readonly platform: Pick<Platform, "soon">;
  readonly observer: Pick<JobObserver, "failed">;
  /** Called when the job after a batch has become ready. */
  readonly onReady: () => void;
}

/** Checks whether a batch has ended, once for all of its jobs that end at the same time. */
export class BatchChecks {
  readonly #options: BatchChecksOptions;
  /** Batches that will be checked. */
  readonly #batches = new Set<string>();
  #isStopped = false;

  constructor(options: BatchChecksOptions) {
    this.#options = options;
  }

  /** A job of the batch has ended. */
  jobEnded(id: string): void {
    if (this.#isStopped || this.#batches.has(id)) return;
    this.#batches.add(id);
    const { table, platform, observer, onReady } = this.#options;
    platform.soon(() => {
      this.#batches.delete(id);
      table.settleBatch(id).then(
        (isReady) => isReady && onReady(),
        // The batch is checked again later.
        (error: unknown) => observer.failed(error),
      );
    });
  }

  /** Begins no more checks: if the server stops, a later one finds that the batch has ended. */
  stop(): void {
    this.#isStopped = true;
  }
}
