import type { WorkflowRun, Workflows } from "@pylonsync/functions";
import type { Transaction } from "../store/store.ts";
import type { JobQueue } from "./scheduler.ts";

/** The origin of a run. */
export interface RunOrigin {
  /** The user who started it; null if no user did. */
  readonly startedBy: string | null;
  /** The parent run that started it. */
  readonly parentId?: string;
}

/** Stores the runs of workflows; implemented by workflows/. */
export interface WorkflowRuns {
  /**
   * @param origin.startedBy the user whose call starts the run
   * @returns the run's id
   * @throws PylonError WORKFLOW_START_FAILED, PAYLOAD_TOO_LARGE
   */
  start(tx: Transaction, name: string, input: unknown, origin?: RunOrigin): Promise<string>;
  /** Returns the current state of a run, or null if it does not exist. */
  look(tx: Transaction, id: string): Promise<WorkflowRun | null>;
  /** @throws PylonError WORKFLOW_EVENT_FAILED, PAYLOAD_TOO_LARGE */
  send(tx: Transaction, id: string, event: string, data: unknown): Promise<void>;
  /** @returns whether the run existed and had not ended */
  cancel(tx: Transaction, id: string): Promise<boolean>;
}

/** `ctx.workflows` of a mutation, which is part of its transaction. */
export class TransactionWorkflows implements Workflows {
  readonly #runs: WorkflowRuns;
  readonly #queue: Pick<JobQueue, "now">;
  readonly #tx: Transaction;
  readonly #origin: RunOrigin;
  readonly #times: number[] = [];

  constructor(
    runs: WorkflowRuns,
    queue: Pick<JobQueue, "now">,
    tx: Transaction,
    origin: RunOrigin,
  ) {
    this.#runs = runs;
    this.#queue = queue;
    this.#tx = tx;
    this.#origin = origin;
  }

  /** The due times of the work that was caused, in milliseconds since 1970. */
  get times(): readonly number[] {
    return this.#times;
  }

  readonly start: Workflows["start"] = async (name, input = null) => {
    this.#times.push(this.#queue.now());
    return this.#runs.start(this.#tx, name, input, this.#origin);
  };

  readonly get: Workflows["get"] = async (id) => this.#runs.look(this.#tx, id);

  readonly send: Workflows["send"] = async (id, event, data = null) => {
    this.#times.push(this.#queue.now());
    await this.#runs.send(this.#tx, id, event, data);
  };

  readonly cancel: Workflows["cancel"] = async (id) => {
    // A run that waits for it continues.
    this.#times.push(this.#queue.now());
    return this.#runs.cancel(this.#tx, id);
  };
}

/** `ctx.workflows` of an action, which runs each call in a separate transaction. */
export class ActionWorkflows implements Workflows {
  readonly #runs: WorkflowRuns;
  readonly #queue: Pick<JobQueue, "now" | "wake">;
  readonly #transact: <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>;
  readonly #origin: RunOrigin;

  constructor(
    runs: WorkflowRuns,
    queue: Pick<JobQueue, "now" | "wake">,
    transact: <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>,
    origin: RunOrigin,
  ) {
    this.#origin = origin;
    this.#runs = runs;
    this.#queue = queue;
    this.#transact = transact;
  }

  readonly start: Workflows["start"] = (...call) =>
    this.#do((workflows) => workflows.start(...call));

  readonly get: Workflows["get"] = (id) => this.#do((workflows) => workflows.get(id));

  readonly send: Workflows["send"] = (...call) => this.#do((workflows) => workflows.send(...call));

  readonly cancel: Workflows["cancel"] = (id) => this.#do((workflows) => workflows.cancel(id));

  async #do<T>(work: (workflows: TransactionWorkflows) => Promise<T>): Promise<T> {
    let times: readonly number[] = [];
    const result = await this.#transact(async (tx) => {
      const workflows = new TransactionWorkflows(this.#runs, this.#queue, tx, this.#origin);
      const done = await work(workflows);
      times = workflows.times;
      return done;
    });
    this.#queue.wake(times);
    return result;
  }
}
