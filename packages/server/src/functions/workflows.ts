import type { WorkflowRun, Workflows } from "@pylonsync/functions";
import type { Platform } from "../platform.ts";
import type { Transaction } from "../store/store.ts";
import type { JobQueue } from "./scheduler.ts";

/** Where runs of workflows are kept; workflows/ is behind it. */
export interface WorkflowRuns {
  /** @returns the run's id. @throws PylonError WORKFLOW_START_FAILED, PAYLOAD_TOO_LARGE */
  start(tx: Transaction, name: string, input: unknown): Promise<string>;
  /** How a run is now; null when there is none. */
  look(tx: Transaction, id: string): Promise<WorkflowRun | null>;
  /** @throws PylonError WORKFLOW_EVENT_FAILED, PAYLOAD_TOO_LARGE */
  send(tx: Transaction, id: string, event: string, data: unknown): Promise<void>;
  /** @returns whether it was there and not over */
  cancel(tx: Transaction, id: string): Promise<boolean>;
}

/** `ctx.workflows` of a mutation: all of it is part of the transaction. */
export class TransactionWorkflows implements Workflows {
  readonly #runs: WorkflowRuns;
  readonly #now: () => number;
  readonly #tx: Transaction;
  readonly #times: number[] = [];

  constructor(runs: WorkflowRuns, { now }: Pick<Platform, "now">, tx: Transaction) {
    this.#runs = runs;
    this.#now = now;
    this.#tx = tx;
  }

  /** When work is due that was caused, in milliseconds since 1970. */
  get times(): readonly number[] {
    return this.#times;
  }

  readonly start: Workflows["start"] = async (name, input = null) => {
    this.#times.push(this.#now());
    return this.#runs.start(this.#tx, name, input);
  };

  readonly get: Workflows["get"] = async (id) => this.#runs.look(this.#tx, id);

  readonly send: Workflows["send"] = async (id, event, data = null) => {
    this.#times.push(this.#now());
    await this.#runs.send(this.#tx, id, event, data);
  };

  readonly cancel: Workflows["cancel"] = async (id) => this.#runs.cancel(this.#tx, id);
}

/** `ctx.workflows` of an action: each call is a transaction of its own. */
export class ActionWorkflows implements Workflows {
  readonly #runs: WorkflowRuns;
  readonly #queue: Pick<JobQueue, "wake">;
  readonly #platform: Pick<Platform, "now">;
  readonly #transact: <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>;

  constructor(
    runs: WorkflowRuns,
    queue: Pick<JobQueue, "wake">,
    platform: Pick<Platform, "now">,
    transact: <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>,
  ) {
    this.#runs = runs;
    this.#queue = queue;
    this.#platform = platform;
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
      const workflows = new TransactionWorkflows(this.#runs, this.#platform, tx);
      const done = await work(workflows);
      times = workflows.times;
      return done;
    });
    this.#queue.wake(times);
    return result;
  }
}
