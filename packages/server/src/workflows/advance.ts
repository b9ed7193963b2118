import { PylonError } from "@pylonsync/protocol";
import type { StepContext, WorkflowDefinition } from "@pylonsync/workflows";
import { ANONYMOUS } from "../identity/identity.ts";
import type { Runner } from "../functions/runner.ts";
import type { RunOrigin } from "../functions/workflows.ts";
import type { TaskAttempt } from "../jobs/task.ts";
import { retryDelayMs } from "../jobs/retry-delay.ts";
import type { Transaction } from "../store/store.ts";
import { runIdOf } from "./advance-job.ts";
import type { ChildEnd, MutationCall, Pause, ReplayPorts } from "./replay-ports.ts";
import { Replay, type ReplayEnd } from "./replay.ts";
import { InvalidRunError } from "./invalid-run-error.ts";
import {
  EVENTS,
  eventsOf,
  isOver,
  loadRun,
  putSteps,
  RUNS,
  STEPS,
  type EventRow,
  type Run,
  type StepRow,
} from "./run.ts";
import type { WorkflowServices } from "./services.ts";

/** The end of a run. */
export type RunEnd = Pick<Run, "status"> & Partial<Pick<Run, "output" | "error" | "failedStep">>;

/** Starts and ends runs. */
export interface RunOwner {
  start(tx: Transaction, name: string, input: unknown, origin: RunOrigin): Promise<string>;
  end(tx: Transaction, run: Run, end: RunEnd): Promise<void>;
}

/** The services of an advance. */
export interface AdvanceServices extends WorkflowServices {
  readonly runner: Pick<Runner, "run" | "callers" | "definitionOf">;
  readonly runs: RunOwner;
  /** Returns a random number from 0 to 1. */
  readonly random: () => number;
}

/**
 * Advances a run as far as possible, under the lease of a job. Each transaction checks that the job
 * is still this server's, so that only one of two servers that believe they hold the run can write.
 */
export class Advance {
  readonly #services: AdvanceServices;
  readonly #attempt: TaskAttempt;
  /** The value of `signals` when the events were read. */
  #signals = 0;

  constructor(services: AdvanceServices, attempt: TaskAttempt) {
    this.#services = services;
    this.#attempt = attempt;
  }

  /** @throws PylonError JOB_LOST, and any error that fails the attempt, which is then repeated */
  async run(): Promise<void> {
    const { store, jobs } = this.#services;
    const id = runIdOf(this.#attempt.job.args);
    // Read in a transaction, so that the events and `signals` are consistent.
    const loaded = id === null ? null : await store.transact((tx) => this.#begin(tx, id));
    if (loaded === null) return;
    const { run } = loaded;
    this.#signals = run.signals;
    const definition = this.#definitionOf(run);
    const end = await this.#replay(loaded, definition);
    if (end.kind === "suspended") return;
    if (end.kind === "continued") {
      await this.#continueAsNew(run, definition, end.input);
      return;
    }
    await store.transact(async (tx) => {
      await this.#attempt.finish(tx, { kind: "completed" });
      await this.#services.runs.end(
        tx,
        run,
        end.kind === "completed"
          ? { status: "completed", output: end.output }
          : { status: "failed", error: end.error, failedStep: end.failedStep },
      );
    });
    // Its parent may be waiting for it.
    jobs.wake([0]);
  }

  /** Starts the run again, without steps, with the current code. */
  async #continueAsNew(run: Run, definition: WorkflowDefinition, input: string): Promise<void> {
    const { store, jobs, platform } = this.#services;
    const now = platform.now();
    await store.transact(async (tx) => {
      await this.#attempt.finish(tx, { kind: "again", dueAt: now });
      await STEPS.deleteWhere(tx, STEPS.is("runId", run.id));
      await RUNS.update(tx, run.id, {
        input,
        version: definition.version ?? 1,
        maxRetries: definition.maxRetries ?? run.maxRetries,
        generation: (run.generation ?? 0) + 1,
        status: "pending",
      });
    });
    jobs.wake([now]);
  }

  async #saveState(run: Run, state: string): Promise<void> {
    await this.#services.store.transact(async (tx) => {
      await this.#attempt.hold(tx);
      await RUNS.update(tx, run.id, { state });
    });
  }

  /** @returns null for a run that has ended, whose job is completed */
  async #begin(tx: Transaction, id: string): ReturnType<typeof loadRun> {
    const loaded = await loadRun(tx, id);
    if (loaded === null || isOver(loaded.run)) {
      await this.#attempt.finish(tx, { kind: "completed" });
      return null;
    }
    const { run } = loaded;
    await this.#attempt.hold(tx);
    if (run.status !== "running")
      await RUNS.update(tx, id, {
        status: "running",
        startedAt: run.startedAt ?? this.#services.platform.now(),
        wakeAt: null,
        waitingFor: null,
      });
    return loaded;
  }

  /** @throws PylonError if this version of the app lacks the workflow: another one may have it */
  #definitionOf({ name, version }: Run): WorkflowDefinition {
    const definition = this.#services.definitions().get(name);
    if (definition !== undefined && (definition.version ?? 1) >= version) return definition;
    throw new PylonError(
      "WORKFLOW_ADVANCE_FAILED",
      definition === undefined
        ? `The app has no workflow "${name}".`
        : `The app has version ${definition.version ?? 1} of the workflow "${name}", but the ` +
            `run started with version ${version}.`,
    );
  }

  async #replay(
    loaded: NonNullable<Awaited<ReturnType<typeof loadRun>>>,
    definition: WorkflowDefinition,
  ): Promise<ReplayEnd> {
    const { platform, timeoutMs, random } = this.#services;
    const { signal } = this.#attempt;
    const replay = new Replay(
      {
        ...loaded,
        definition,
        platform,
        signal,
        timeoutMs,
        retryDelayMs: (attempts) => retryDelayMs(attempts, random()),
      },
      this.#portsOf(loaded.run),
    );
    try {
      return await replay.run();
    } catch (error) {
      if (!(error instanceof InvalidRunError)) throw error;
      return { kind: "failed", error: error.message, failedStep: null };
    }
  }

  #portsOf(run: Run): ReplayPorts {
    return {
      record: this.#record,
      saveState: (state) => this.#saveState(run, state),
      mutate: (call, rowOf) => this.#mutate(run, call, rowOf),
      startChild: (name, input, rowOf) => this.#startChild(run, name, input, rowOf),
      endOfChild: (id) => this.#endOfChild(id),
      suspend: (pause) => this.#suspend(run, pause),
      stepContext: (base) => this.#stepContext(run, base),
    };
  }

  readonly #record: ReplayPorts["record"] = async (rows, taken, isNew) => {
    await this.#services.store.transact(async (tx) => {
      // First, so that another server that has taken the run is noticed before its rows are.
      await this.#attempt.hold(tx);
      await putSteps(tx, rows, isNew);
      for (const { id } of taken) await EVENTS.delete(tx, id);
    });
  };

  async #mutate(
    run: Run,
    { name, args, timeoutMs }: MutationCall,
    rowOf: (output: string) => StepRow,
  ): Promise<StepRow> {
    const { runner, jobs } = this.#services;
    const definition = runner.definitionOf(name, "mutation");
    let written: StepRow | null = null;
    await runner.run(name, definition, args, {
      caller: ANONYMOUS,
      readerShare: () => `workflow ${run.name}`,
      requestId: run.id,
      startedBy: run.startedBy,
      isForOperators: true,
      isTrusted: true,
      signal: this.#attempt.signal,
      timeoutMs,
      beforeCommit: async (tx, { json }) => {
        await this.#attempt.hold(tx);
        written = rowOf(json);
        await putSteps(tx, [written]);
      },
    });
    jobs.wake([0]);
    if (written === null) throw new TypeError("A mutation ended without a commit.");
    return written;
  }

  async #startChild(
    run: Run,
    name: string,
    input: unknown,
    rowOf: (childId: string) => StepRow,
  ): Promise<StepRow> {
    const { store, runs, jobs } = this.#services;
    const row = await store.transact(async (tx) => {
      await this.#attempt.hold(tx);
      const started = rowOf(
        await runs.start(tx, name, input, { startedBy: run.startedBy, parentId: run.id }),
      );
      await putSteps(tx, [started]);
      return started;
    });
    jobs.wake([0]);
    return row;
  }

  async #endOfChild(id: string): Promise<ChildEnd | null> {
    const child = await RUNS.get(this.#services.store, id);
    if (child === null) return { kind: "failed", error: "The run was deleted." };
    if (!isOver(child)) return null;
    return child.status === "completed"
      ? { kind: "completed", output: child.output }
      : { kind: "failed", error: child.error ?? child.status };
  }

  async #suspend(run: Run, pause: Pause): Promise<readonly EventRow[] | null> {
    const { store, jobs } = this.#services;
    const events = await store.transact(async (tx) => {
      const now = await RUNS.get(tx, run.id);
      await this.#attempt.hold(tx);
      if (now !== null && now.signals !== this.#signals) {
        this.#signals = now.signals;
        return eventsOf(tx, run.id);
      }
      await putSteps(tx, pause.rows);
      const { status, wakeAt, waitingFor } = pause;
      await RUNS.update(tx, run.id, { status, wakeAt, waitingFor });
      await this.#attempt.finish(tx, { kind: "again", dueAt: wakeAt });
      return null;
    });
    if (events === null && pause.wakeAt !== null) jobs.wake([pause.wakeAt]);
    return events;
  }

  #stepContext(
    run: Run,
    base: Omit<StepContext, "runQuery" | "runMutation" | "runAction">,
  ): StepContext {
    const { id: requestId, name, startedBy } = run;
    const call = { requestId, readerShare: () => `workflow ${name}`, startedBy };
    // The types of the app's functions are known to its compiler only.
    return { ...base, ...this.#services.runner.callers(call, base.signal) } as StepContext;
  }
}
