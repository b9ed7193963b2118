import { currentOperation, runIn } from "../../observe/operation.ts";
import type { Platform } from "../../platform.ts";
import type { Transaction } from "../store.ts";
import type { Cancellation } from "../../util/cancellation.ts";

/** The maximum number of concurrent transactions. */
const MAX_LANES = 2;
/** Pieces of work in one transaction; with fewer than MIN_WORKS no second one is opened. */
const MAX_UNITS = 200;
const MIN_UNITS = 8;
/**
 * Work that takes longer than this, in milliseconds, would delay the other work in its transaction.
 */
const SHORT_MS = 20;
/**
 * If the overhead of a transaction exceeds SHORT_MS, work that takes no longer than this overhead
 * also counts as short, up to this limit: on a busy machine or a slow disk everything takes longer,
 * and sharing less would make each piece wait for its own commit.
 */
const MAX_SHORT_MS = 100;
/**
 * A transaction that has run for this many times the maximum duration of short work starts no
 * further work.
 */
const MAX_GROUP = 5;
/**
 * The maximum number of kinds of work whose duration is tracked; others run in their own
 * transactions.
 */
const MAX_KINDS = 1_000;

/** A unit of work, which may run several times. */
export interface SharedWork {
  readonly signal: Cancellation | undefined;
  readonly run: (tx: Transaction) => Promise<void>;
  /** Called with the error of a unit that failed without an effect on the transaction. */
  readonly failed: (error: unknown) => void;
}

/**
 * Runs pieces of work in one transaction, one after another, as long as `isOpen` returns true.
 *
 * @returns the number of pieces that were committed, counted from the first one
 * @throws OutcomeUnknown, and the error that rolled back all of them
 */
export type RunShared = (works: readonly SharedWork[], isOpen: () => boolean) => Promise<number>;

/**
 * The work of a transaction may have been committed, because of the `cause`: none of it may run
 * again.
 */
export class OutcomeUnknown extends Error {
  override readonly name = "OutcomeUnknown";
}

interface Waiting extends SharedWork {
  readonly kind: string;
  readonly committed: () => void;
  /** Runs it in its own transaction. */
  readonly alone: () => void;
}

/**
 * Combines short pieces of work that are submitted at the same time into shared transactions: each
 * commit waits for the disk, and each statement that begins or ends a transaction for the network.
 * If one piece fails, all are rolled back, and each half runs again separately, down to a single
 * piece: so each succeeds or fails individually. The submitter limits the number of waiting pieces:
 * a replica has a limit of running jobs.
 */
export class SharedTransactions {
  readonly #run: RunShared;
  readonly #platform: Platform;
  readonly #waiting: Waiting[] = [];
  /** The duration of the latest piece of work of each kind, in milliseconds. */
  readonly #durations = new Map<string, number>();
  /** Work that takes at most this long, in milliseconds, is short. */
  #shortMs = SHORT_MS;
  #lanes = 0;
  #isAboutToStart = false;

  constructor(run: RunShared, platform: Platform) {
    this.#run = run;
    this.#platform = platform;
  }

  /**
   * @param alone runs the work in its own transaction
   * @throws what the work throws
   */
  transact<T>(
    kind: string,
    work: (tx: Transaction) => Promise<T>,
    signal: Cancellation | undefined,
    alone: (work: (tx: Transaction) => Promise<T>) => Promise<T>,
  ): Promise<T> {
    // It runs after other work, but in the context of the operation that submitted it.
    const operation = currentOperation();
    const measured = async (tx: Transaction): Promise<T> => {
      const startedAt = this.#platform.monotonic();
      try {
        return await runIn(operation, () => work(tx));
      } finally {
        this.#learn(kind, this.#platform.monotonic() - startedAt);
      }
    };
    if (!this.#isShort(kind)) return this.#runAlone(measured, alone);
    return new Promise<T>((resolve, reject) => {
      let result: T;
      this.#waiting.push({
        kind,
        signal,
        run: async (tx) => {
          result = await measured(tx);
        },
        committed: () => resolve(result),
        alone: () => {
          this.#runAlone(measured, alone).then(resolve, reject);
        },
        failed: reject,
      });
      this.#start();
    });
  }

  /** Runs the work in its own transaction, and measures the overhead of the transaction. */
  async #runAlone<T>(
    work: (tx: Transaction) => Promise<T>,
    alone: (work: (tx: Transaction) => Promise<T>) => Promise<T>,
  ): Promise<T> {
    const { monotonic } = this.#platform;
    const startedAt = monotonic();
    let workedMs = 0;
    const result = await alone(async (tx) => {
      const begunAt = monotonic();
      try {
        return await work(tx);
      } finally {
        workedMs += monotonic() - begunAt;
      }
    });
    this.#learnCost(monotonic() - startedAt - workedMs);
    return result;
  }

  /** The first piece of an unknown kind runs alone. */
  #isShort(kind: string): boolean {
    return (this.#durations.get(kind) ?? Infinity) <= this.#shortMs;
  }

  #learn(kind: string, ms: number): void {
    if (this.#durations.size < MAX_KINDS || this.#durations.has(kind))
      this.#durations.set(kind, ms);
  }

  /** @param ms the duration of a transaction without its work */
  #learnCost(ms: number): void {
    this.#shortMs = Math.min(Math.max(ms, SHORT_MS), MAX_SHORT_MS);
  }

  /** Work that is submitted in the same turn of the event loop is combined. */
  #start(): void {
    if (this.#isAboutToStart) return;
    this.#isAboutToStart = true;
    this.#platform.soon(() => {
      this.#isAboutToStart = false;
      while (this.#lanes < MAX_LANES && this.#waiting.length > 0) {
        const share = Math.ceil(this.#waiting.length / (MAX_LANES - this.#lanes));
        const count = Math.min(Math.max(share, MIN_UNITS), MAX_UNITS);
        void this.#runGroup(this.#waiting.splice(0, count));
      }
    });
  }

  async #runGroup(works: readonly Waiting[]): Promise<void> {
    this.#lanes += 1;
    await this.#runTogether(works);
    this.#lanes -= 1;
    this.#start();
  }

  async #runTogether(submitted: readonly Waiting[]): Promise<void> {
    const works = new Set(submitted.filter(({ signal }) => signal?.aborted !== true));
    // What was aborted while it waited would undo those beside it.
    for (const work of submitted) if (!works.has(work)) work.alone();
    const [first] = works;
    if (works.size < 2) return first?.alone();
    const { monotonic } = this.#platform;
    // Counted from the first call, which is after the first piece of work.
    let until: number | null = null;
    const isOpen = (): boolean => monotonic() < (until ??= monotonic() + MAX_GROUP * this.#shortMs);
    let hasBegun = false;
    let workedMs = 0;
    const begin = (run: SharedWork["run"]) => async (tx: Transaction) => {
      hasBegun = true;
      const startedAt = monotonic();
      await run(tx);
      workedMs += monotonic() - startedAt;
    };
    const startedAt = monotonic();
    try {
      const all = [...works];
      const runs = all.map((work) => ({
        signal: work.signal,
        run: begin(work.run),
        failed: (error: unknown) => {
          works.delete(work);
          work.failed(error);
        },
      }));
      const count = await this.#run(runs, isOpen);
      this.#learnCost(monotonic() - startedAt - workedMs);
      for (const work of all.slice(0, count)) if (works.has(work)) work.committed();
      this.#requeue(all.slice(count));
    } catch (error) {
      if (error instanceof OutcomeUnknown) for (const { failed } of works) failed(error.cause);
      else if (hasBegun) await this.#halve([...works]);
      // It is the fault of none: each half would wait for the database once more, after the other.
      else for (const { alone } of works) alone();
    }
  }

  /** A failing piece is found in a few steps, and the others still share transactions. */
  async #halve(works: readonly Waiting[]): Promise<void> {
    const middle = Math.ceil(works.length / 2);
    await this.#runTogether(works.slice(0, middle));
    await this.#runTogether(works.slice(middle));
  }

  /** Puts work for which a transaction had no time into the next one; long work runs alone. */
  #requeue(works: readonly Waiting[]): void {
    const [short, long] = [true, false].map((isShort) =>
      works.filter(({ kind }) => this.#isShort(kind) === isShort),
    );
    this.#waiting.unshift(...(short ?? []));
    for (const { alone } of long ?? []) alone();
  }
}
