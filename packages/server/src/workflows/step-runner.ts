import type { StepContext, StepOptions, WorkflowDefinition } from "@pylonsync/workflows";
import type { Platform } from "../platform.ts";
import type { ReplayPorts } from "./replay-ports.ts";
import { encoded } from "./run-value.ts";
import type { Run, StepRow } from "./run.ts";

/** The input of the runner of steps. */
export interface StepRunnerOptions {
  readonly run: Run;
  readonly definition: WorkflowDefinition;
  readonly platform: Platform;
  /** The timeout of an attempt at a step, unless the workflow sets one, in milliseconds. */
  readonly timeoutMs: number;
}

/** Runs the code of steps, each with a timeout, until it is stopped. */
export class StepRunner {
  readonly #options: StepRunnerOptions;
  readonly #contextOf: ReplayPorts["stepContext"];
  readonly #stop = new AbortController();

  constructor(options: StepRunnerOptions, contextOf: ReplayPorts["stepContext"]) {
    this.#options = options;
    this.#contextOf = contextOf;
  }

  /** Returns the timeout of an attempt, in milliseconds. */
  timeoutOf({ timeoutSecs }: StepOptions): number {
    const seconds = timeoutSecs ?? this.#options.definition.stepTimeoutSecs;
    return seconds === undefined ? this.#options.timeoutMs : seconds * 1000;
  }

  /**
   * Runs an attempt at a step.
   *
   * @returns its result as JSON; rejects with the error that it throws
   */
  run(row: StepRow, code: (ctx: StepContext) => unknown, options: StepOptions): Promise<string> {
    const abort = new AbortController();
    const onAbort = (): void => abort.abort(this.#stop.signal.reason);
    this.#stop.signal.addEventListener("abort", onAbort, { once: true });
    const timeoutMs = this.timeoutOf(options);
    const timer = this.#options.platform.after(timeoutMs, () =>
      abort.abort(new Error(`The step took longer than ${timeoutMs / 1000} s.`)),
    );
    const context = this.#contextOf({
      signal: abort.signal,
      attempt: row.attempts + 1,
      idempotencyKey: this.#keyOf(row),
    });
    const late = new Promise<never>((_resolve, reject) => {
      abort.signal.addEventListener("abort", () => reject(abort.signal.reason), { once: true });
    });
    return Promise.race([late, (async () => encoded(await code(context)))()]).finally(() => {
      timer.cancel();
      this.#stop.signal.removeEventListener("abort", onAbort);
    });
  }

  /** Aborts the running steps: nothing waits for them. */
  stop(reason: unknown): void {
    this.#stop.abort(reason);
  }

  #keyOf({ id, position }: StepRow): string {
    const { id: runId, generation } = this.#options.run;
    if (generation === null || generation === 0) return id.replace(" ", ":");
    return `${runId}:${generation}:${position}`;
  }
}
