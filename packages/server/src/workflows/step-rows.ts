import { MAX_WORKFLOW_BYTES } from "@pylonsync/protocol";
import type { Platform } from "../platform.ts";
import type { Ended, Work } from "./call.ts";
import { InvalidRunError } from "./invalid-run-error.ts";
import { stepId, type Run, type StepRow } from "./run.ts";

/** The input for the rows of a run's calls. */
export interface StepRowsOptions {
  readonly run: Run;
  /** The existing rows, with or without an end. */
  readonly steps: readonly StepRow[];
  readonly platform: Platform;
  /** Returns the delay before a step is retried, in milliseconds. */
  readonly retryDelayMs: (attempts: number) => number;
}

/** Creates the rows that record a run's calls: numbers their ends, and counts their bytes. */
export class StepRows {
  readonly #options: StepRowsOptions;
  #bytes: number;
  #seq: number;

  constructor(options: StepRowsOptions) {
    this.#options = options;
    const { steps } = options;
    this.#seq = steps.reduce((last, { seq }) => Math.max(last, seq ?? 0), 0) + 1;
    this.#bytes = steps.reduce((sum, { output }) => sum + (output?.length ?? 0), 0);
  }

  /** Counts the bytes of a row that was written. */
  count({ output }: StepRow): void {
    this.#bytes += output?.length ?? 0;
  }

  /** Returns the row of a new call. */
  first(position: number, name: string, work: Work): StepRow {
    const now = this.#options.platform.now();
    const ms = work.kind === "sleep" ? work.ms : work.kind === "event" ? work.timeoutMs : null;
    return {
      id: stepId(this.#options.run.id, position),
      runId: this.#options.run.id,
      position,
      kind: work.kind,
      name: String(name),
      status: "waiting",
      seq: null,
      output: null,
      error: null,
      attempts: 0,
      startedAt: now,
      endedAt: null,
      wakeAt: ms === null ? null : now + ms,
      childId: null,
    };
  }

  /** Returns the row after an attempt that has ended. */
  ofEnd(end: Ended): StepRow {
    const { row, work } = end.call;
    const attempts = row.attempts + 1;
    if ("output" in end) return this.ended({ ...row, attempts }, end.output);
    const options = work.kind === "step" || work.kind === "mutation" ? work.options : {};
    const retries = options.retries ?? this.#options.run.maxRetries;
    if (end.isFinal || attempts > retries) return this.failed({ ...row, attempts }, end.error);
    const wakeAt = this.#options.platform.now() + this.#options.retryDelayMs(attempts);
    return { ...row, attempts, status: "retrying", error: end.error, wakeAt };
  }

  /**
   * Returns the row of a call that succeeded.
   *
   * @throws InvalidRunError if the results of the run are too large in total
   */
  ended(row: StepRow, output: string | null): StepRow {
    if (this.#bytes + (output?.length ?? 0) > MAX_WORKFLOW_BYTES)
      throw new InvalidRunError(
        `The results of all steps of a run may have at most ${MAX_WORKFLOW_BYTES} bytes.`,
      );
    const endedAt = this.#options.platform.now();
    return { ...row, status: "completed", output, error: null, seq: this.#nextSeq(), endedAt };
  }

  /** Returns the row of a call that failed finally. */
  failed(row: StepRow, error: string): StepRow {
    const endedAt = this.#options.platform.now();
    return { ...row, status: "failed", error, seq: this.#nextSeq(), endedAt };
  }

  #nextSeq(): number {
    this.#seq += 1;
    return this.#seq;
  }
}
