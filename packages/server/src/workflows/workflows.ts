import { createIdFactory, PylonError } from "@pylonsync/protocol";
import type { WorkflowRun } from "@pylonsync/functions";
import type { Runner } from "../functions/runner.ts";
import type { RunOrigin, WorkflowRuns } from "../functions/workflows.ts";
import type { Task } from "../jobs/task.ts";
import { randomFraction } from "../platform.ts";
import type { Transaction } from "../store/store.ts";
import { advanceJob, runIdOf, WORKFLOW_QUEUE } from "./advance-job.ts";
import { Advance, type RunEnd } from "./advance.ts";
import { encoded } from "./run-value.ts";
import { EVENTS, endedSteps, isOver, RUNS, STEPS, stepsOf, type Run, type StepRow } from "./run.ts";
import type { WorkflowServices } from "./services.ts";

const DEFAULT_RETRIES = 3;
/** How long a run is kept after its end, in milliseconds. */
const KEPT_MS = 30 * 24 * 60 * 60_000;
/** The number of runs that one transaction of the clean-up checks. */
const BATCH = 100;
const ID_BYTES = 8;

/** A run with the calls that its code has made. */
export interface RunWithSteps {
  readonly run: Run;
  readonly steps: readonly StepRow[];
}

/** A run in a list. */
export interface RunSummary {
  readonly run: Run;
  /** The number of steps that have ended. */
  readonly currentStep: number;
}

/**
 * Runs of workflows. They are in the store, and jobs advance them, each run by one job at a time.
 */
export class Workflows implements WorkflowRuns {
  readonly #services: WorkflowServices;
  readonly #newEventId: () => string;

  constructor(services: WorkflowServices) {
    this.#services = services;
    const { now, random } = services.platform;
    this.#newEventId = createIdFactory(now, random);
  }

  /** Returns the task that advances runs, for the runner of jobs. */
  task(runner: Pick<Runner, "run" | "callers" | "definitionOf">): Task {
    return async (attempt) => {
      const advance = new Advance(
        { ...this.#services, runner, runs: this, random: () => this.#chance() },
        attempt,
      );
      await advance.run();
    };
  }

  async start(
    tx: Transaction,
    name: string,
    input: unknown,
    origin: RunOrigin = { startedBy: null },
  ): Promise<string> {
    const { startedBy, parentId = null } = origin;
    const { definitions, jobs, platform } = this.#services;
    const definition = definitions().get(name);
    if (definition === undefined)
      throw new PylonError(
        "WORKFLOW_START_FAILED",
        `The workflow "${String(name).slice(0, 80)}" does not exist.`,
        { field: "name", hint: "GET /api/workflows/definitions lists the workflows." },
      );
    const id = this.#newId();
    const now = platform.now();
    const jobId = await jobs.add(tx, advanceJob(id, now));
    await RUNS.insert(tx, {
      id,
      name,
      version: definition.version ?? 1,
      input: encoded(input),
      status: "pending",
      output: null,
      error: null,
      failedStep: null,
      createdAt: now,
      startedAt: null,
      finishedAt: null,
      wakeAt: null,
      waitingFor: null,
      jobId,
      signals: 0,
      maxRetries: definition.maxRetries ?? DEFAULT_RETRIES,
      parentId,
      generation: 0,
      state: null,
      startedBy,
    });
    return id;
  }

  async look(tx: Transaction, id: string): Promise<WorkflowRun | null> {
    const run = await RUNS.get(tx, String(id));
    if (run === null) return null;
    const { name, status, error } = run;
    return { id, name, status, state: parsed(run.state), output: parsed(run.output), error };
  }

  async send(tx: Transaction, id: string, event: string, data: unknown): Promise<void> {
    const run = await RUNS.get(tx, String(id));
    if (run === null || isOver(run)) throw notWaiting("The run does not exist, or has ended.");
    if (typeof event !== "string" || event === "" || event.length > 256)
      throw notWaiting("The name of an event must be a string of at most 256 characters.");
    await EVENTS.insert(tx, {
      id: this.#newEventId(),
      runId: run.id,
      name: event,
      data: encoded(data),
      at: this.#services.platform.now(),
    });
    await this.signal(tx, run);
  }

  /** Like `send`, for an event that the run currently waits for. @throws PylonError */
  async sendAwaited(tx: Transaction, id: string, event: string, data: unknown): Promise<void> {
    const run = await RUNS.get(tx, id);
    const waits = run === null || isOver(run) ? [] : await stepsOf(tx, id);
    const isAwaited = waits.some(
      ({ kind, name, status }) => kind === "event" && name === event && status === "waiting",
    );
    if (!isAwaited)
      throw notWaiting(`The run is not waiting for an event "${String(event).slice(0, 80)}".`);
    await this.send(tx, id, event, data);
  }

  async cancel(tx: Transaction, id: string): Promise<boolean> {
    const run = await RUNS.get(tx, String(id));
    if (run === null || isOver(run)) return false;
    await this.#services.jobs.cancel(tx, run.jobId);
    await this.end(tx, run, { status: "cancelled", error: "It was cancelled." });
    for (const child of await RUNS.select(tx, { where: RUNS.is("parentId", run.id) }))
      await this.cancel(tx, child.id);
    return true;
  }

  /** Like `cancel`, in a transaction of its own; aborts the run if this replica advances it. */
  async cancelOne(id: string): Promise<boolean> {
    const { store, jobs } = this.#services;
    const isCancelled = await store.transact((tx) => this.cancel(tx, id));
    const run = await RUNS.get(store, id);
    if (run !== null) jobs.abort(run.jobId);
    jobs.wake([0]);
    return isCancelled;
  }

  /** Checks whether a run can continue. @returns its status; null if the run does not exist */
  async advance(id: string): Promise<Run["status"] | null> {
    const { store, jobs } = this.#services;
    const status = await store.transact(async (tx) => {
      const run = await RUNS.get(tx, id);
      if (run === null || isOver(run)) return run?.status ?? null;
      await this.signal(tx, run);
      return "running";
    });
    jobs.wake([0]);
    return status;
  }

  /**
   * Continues a failed run: the step whose failure ended it is tried again, with everything that
   * was done after it.
   *
   * @returns whether there was one
   */
  async retry(id: string): Promise<boolean> {
    const { store, jobs } = this.#services;
    const isRetried = await store.transact(async (tx) => {
      const run = await RUNS.get(tx, id);
      if (run === null || run.status !== "failed") return false;
      await this.#forgetFrom(tx, run);
      const jobId = await jobs.add(tx, advanceJob(id, this.#services.platform.now()));
      return RUNS.update(tx, id, {
        status: "pending",
        error: null,
        failedStep: null,
        finishedAt: null,
        jobId,
      });
    });
    jobs.wake([0]);
    return isRetried;
  }

  async get(id: string): Promise<RunWithSteps | null> {
    const { store } = this.#services;
    const run = await RUNS.get(store, id);
    return run === null ? null : { run, steps: await stepsOf(store, id) };
  }

  /** Returns runs, the newest first. Their steps are only counted: they may be large. */
  async list(status: Run["status"] | null, limit: number): Promise<RunSummary[]> {
    const { store } = this.#services;
    const runs = await RUNS.select(store, {
      ...(status === null ? {} : { where: RUNS.is("status", status) }),
      order: [{ field: "createdAt", direction: "desc" }],
      limit,
    });
    const ended = await endedSteps(
      store,
      runs.map(({ id }) => id),
    );
    return runs.map((run) => ({ run, currentStep: ended.get(run.id) ?? 0 }));
  }

  /** Wakes a run that may be waiting. */
  async signal(tx: Transaction, run: Run): Promise<void> {
    await RUNS.update(tx, run.id, { signals: run.signals + 1 });
    await this.#services.jobs.wakeUp(tx, run.jobId);
  }

  /** Ends a run, and notifies its parent. The caller ends its job. */
  async end(tx: Transaction, run: Run, end: RunEnd): Promise<void> {
    await RUNS.update(tx, run.id, {
      ...end,
      finishedAt: this.#services.platform.now(),
      wakeAt: null,
      waitingFor: null,
    });
    await EVENTS.deleteWhere(tx, EVENTS.is("runId", run.id));
    const parent = run.parentId === null ? null : await RUNS.get(tx, run.parentId);
    if (parent !== null && !isOver(parent)) await this.signal(tx, parent);
  }

  /** Deletes runs that ended long ago, and fails those whose job could not be completed. */
  async forgetOld(): Promise<void> {
    const { store, platform, jobs } = this.#services;
    const before = platform.now() - KEPT_MS;
    await store.transact(async (tx) => {
      const where = RUNS.isUpTo("finishedAt", before);
      for (const { id } of await RUNS.select(tx, { where, limit: BATCH })) {
        await STEPS.deleteWhere(tx, STEPS.is("runId", id));
        await RUNS.delete(tx, id);
      }
    });
    const dead = await jobs.list({ status: "dead", queue: WORKFLOW_QUEUE }, BATCH);
    for (const job of dead) {
      const id = runIdOf(job.args);
      await store.transact(async (tx) => {
        const run = id === null ? null : await RUNS.get(tx, id);
        if (run === null || isOver(run) || run.jobId !== job.id) return;
        await this.end(tx, run, { status: "failed", error: job.error });
      });
    }
  }

  /** Deletes the failure that ended a run, and the steps after it. */
  async #forgetFrom(tx: Transaction, run: Run): Promise<void> {
    const steps = await stepsOf(tx, run.id);
    const failed = steps.find(({ position }) => position === run.failedStep);
    if (failed === undefined) return;
    const { seq, position, endedAt } = failed;
    for (const step of steps) {
      const isAfter =
        step.seq === null
          ? step.position > position && step.startedAt >= (endedAt ?? 0)
          : step.seq >= (seq ?? 0);
      if (isAfter) await STEPS.delete(tx, step.id);
    }
  }

  #newId(): string {
    const bytes = new Uint8Array(ID_BYTES);
    this.#services.platform.random(bytes);
    return `wf_${Buffer.from(bytes).toString("hex")}`;
  }

  #chance(): number {
    return randomFraction(this.#services.platform);
  }
}

function parsed(json: string | null): unknown {
  return json === null ? null : JSON.parse(json);
}

function notWaiting(message: string): PylonError {
  return new PylonError("WORKFLOW_EVENT_FAILED", message, {
    hint: "GET /api/workflows/ID shows what it is waiting for.",
  });
}
