import { PylonError } from "@pylonsync/protocol";
import { parseArgs } from "@pylonsync/functions";
import type { Functions } from "../../functions/call.ts";
import type { Runner } from "../../functions/runner.ts";
import { ANONYMOUS } from "../../identity/identity.ts";
import type { Platform } from "../../platform.ts";
import { FinalFailure } from "../../util/final-failure.ts";
import type { AttemptOutcome } from "../job-changes.ts";
import type { JobTable } from "../job-table.ts";
import type { Job, LeasedJob } from "../job.ts";
import type { Task, TaskAttempt } from "../task.ts";
import type { BatchChecks } from "./batch-checks.ts";
import { jobContext } from "./job-context.ts";
import type { JobObserver } from "./job-observer.ts";
import { LEASE_MS, LeaseLost } from "./lease.ts";
import type { Outcomes } from "./outcomes.ts";

/** The maximum length of the error that is stored with a job, in characters. */
const MAX_ERROR_LENGTH = 2_000;

/** The dependencies of Attempts. */
export interface AttemptsOptions {
  readonly table: JobTable;
  readonly runner: Pick<Runner, "run">;
  readonly functions: () => Functions;
  /** The tasks by the names of their jobs, which no function can have. */
  readonly tasks: ReadonlyMap<string, Task>;
  readonly platform: Pick<Platform, "monotonic">;
  readonly observer: JobObserver;
  /** Runs an attempt as part of the trace of the write that created the job. */
  readonly traced: <T>(job: Job, attempt: () => Promise<T>) => Promise<T>;
  readonly outcomes: Outcomes;
  readonly batches: BatchChecks;
  /** Called with the duration of the handler of each mutation, in milliseconds. */
  readonly handled: (name: string, ms: number) => void;
}

/** A mutation or a task has ended its job in its own transaction. */
const ENDED = { kind: "ended" } as const;
type CallOutcome = AttemptOutcome | typeof ENDED;

/**
 * Attempts jobs: calls their functions and tasks, and stores the outcomes. A mutation's effect and
 * the end of its job are one transaction, so the effect happens once even if a process is killed; a
 * query or an action may run again if its runner is lost.
 */
export class Attempts {
  readonly #options: AttemptsOptions;

  constructor(options: AttemptsOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the attempt has ended, and its outcome is stored.
   *
   * @param signal aborted with LeaseLost when the job is no longer this runner's
   */
  async run(job: LeasedJob, signal: AbortSignal): Promise<void> {
    const { platform, observer, traced, outcomes, batches } = this.#options;
    const started = platform.monotonic();
    const outcome = await traced(job, () => this.#call(job, signal));
    const isDead =
      outcome?.kind === "failed" && (outcome.isFinal || job.attempts >= job.maxAttempts);
    const isDone = outcome?.kind !== "failed";
    const ended = outcome === null ? "lost" : isDead ? "dead" : isDone ? "completed" : "failed";
    const ms = platform.monotonic() - started;
    observer.ended(job, ended, ms);
    if (ended === "dead") observer.died(job);
    if (outcome === null) return;
    if (outcome.kind !== "ended") await outcomes.store(job, outcome);
    if (job.batchId !== null && (isDone || isDead)) batches.jobEnded(job.batchId);
  }

  /** @returns null if the job is no longer this runner's */
  async #call(job: LeasedJob, signal: AbortSignal): Promise<CallOutcome | null> {
    const { runner, functions, table, tasks, handled } = this.#options;
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
        job: jobContext(table, job),
        handled: (ms) => handled(job.name, ms),
        startedBy: job.startedBy,
        ...(job.timeoutMs === null ? {} : { timeoutMs: job.timeoutMs }),
        beforeCommit: (tx) => table.completeAtEnd(tx, job, heldByAnother),
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
    const { table } = this.#options;
    const mustBe = (isOurs: boolean): void => {
      if (!isOurs) throw heldByAnother();
    };
    return {
      job,
      signal,
      hold: async (tx) => mustBe(await table.hold(tx, job, LEASE_MS)),
      finish: async (tx, outcome) => mustBe(await table.finish(tx, job, outcome)),
    };
  }
}

function heldByAnother(): LeaseLost {
  return new LeaseLost("Another runner holds the job's lease.");
}
