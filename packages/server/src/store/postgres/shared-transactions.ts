import { currentOperation, runIn } from "../../observe/operation.ts";
import type { Platform } from "../../platform.ts";
import type { Transaction } from "../store.ts";

/** Transactions that are under way at the same time. */
const MAX_LANES = 2;
/** Pieces of work in one transaction; with fewer than MIN_WORKS no second one is opened. */
const MAX_WORKS = 200;
const MIN_WORKS = 8;
/** What took longer than this, in milliseconds, would keep those beside it waiting. */
const SHORT_MS = 20;
/**
 * Where a transaction alone costs more than that, what takes no longer than it is short too: on a
 * machine that is busy or a disk that is slow all takes longer, and to share less would make each
 * wait for commits of its own.
 */
const MAX_SHORT_MS = 100;
/**
 * A transaction that runs for this many times as long as a short work takes at most, begins no
 * further one.
 */
const MAX_GROUP = 5;
/** Kinds of work whose duration is known; others run in transactions of their own. */
const MAX_KINDS = 1_000;

/** A unit of work, which may run several times. */
export interface SharedWork {
  readonly signal: AbortSignal | undefined;
  readonly run: (tx: Transaction) => Promise<void>;
  /** Called with the error of a unit that failed without an effect on the transaction. */
  readonly failed: (error: unknown) => void;
}

/**
 * Runs units of work in one transaction, one after another, while `isOpen` returns true.
 *
 * @returns the number of units that have run, from the first one on: each has failed, as `failed`
 *   was told, or is committed
 * @throws OutcomeUnknown, and the error for which all of them were rolled back
 */
export type RunShared = (works: readonly SharedWork[], isOpen: () => boolean) => Promise<number>;

/** The works of a transaction may have been committed, for the `cause`: none may run again. */
export class OutcomeUnknown extends Error {
  override readonly name = "OutcomeUnknown";
}

interface Waiting extends SharedWork {
  readonly kind: string;
  readonly committed: () => void;
  /** Runs it in a transaction of its own. */
  readonly alone: () => void;
}

/**
 * Puts short units of work that are submitted at the same time into common transactions, because
 * each commit waits for the disk, and each statement that begins or ends a transaction for the
 * network. Each unit succeeds or fails on its own: one that fails before its first statement is left
 * out; when one fails after that, all are rolled back, and each half runs again, down to one alone.
 * The submitter bounds how many wait: a replica has a limit of jobs that it runs.
 */
export class SharedTransactions {
  readonly #run: RunShared;
  readonly #platform: Platform;
  readonly #waiting: Waiting[] = [];
  /** How long the last piece of work of a kind took, in milliseconds. */
  readonly #durations = new Map<string, number>();
  /** What takes no longer than this, in milliseconds, is short. */
  #shortMs = SHORT_MS;
  #lanes = 0;
  #isAboutToStart = false;

  constructor(run: RunShared, platform: Platform) {
    this.#run = run;
    this.#platform = platform;
  }

  /**
   * @param alone runs the work in a transaction of its own
   * @throws what the work throws
   */
  transact<T>(
    kind: string,
    work: (tx: Transaction) => Promise<T>,
    signal: AbortSignal | undefined,
    alone: (work: (tx: Transaction) => Promise<T>) => Promise<T>,
  ): Promise<T> {
    // It runs when others are done, and yet for the one who submitted it.
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

  /** In a transaction of its own, which tells what such a one costs. */
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

  /** Of an unknown kind one goes first, alone. */
  #isShort(kind: string): boolean {
    return (this.#durations.get(kind) ?? Infinity) <= this.#shortMs;
  }

  #learn(kind: string, ms: number): void {
    if (this.#durations.size < MAX_KINDS || this.#durations.has(kind))
      this.#durations.set(kind, ms);
  }

  /** @param ms what a transaction took beside its works */
  #learnCost(ms: number): void {
    this.#shortMs = Math.min(Math.max(ms, SHORT_MS), MAX_SHORT_MS);
  }

  /** What comes within the same turn of the event loop is put together. */
  #start(): void {
    if (this.#isAboutToStart) return;
    this.#isAboutToStart = true;
    this.#platform.soon(() => {
      this.#isAboutToStart = false;
      while (this.#lanes < MAX_LANES && this.#waiting.length > 0) {
        const share = Math.ceil(this.#waiting.length / (MAX_LANES - this.#lanes));
        const count = Math.min(Math.max(share, MIN_WORKS), MAX_WORKS);
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
    // Counted from when it is first asked, after the first piece of work.
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
      this.#goOn(all.slice(count));
    } catch (error) {
      if (error instanceof OutcomeUnknown) for (const { failed } of works) failed(error.cause);
      else if (hasBegun) await this.#halve([...works]);
      // It is the fault of none: each half would wait for the database once more, after the other.
      else for (const { alone } of works) alone();
    }
  }

  /** One that fails is found in a few steps, and those beside it still share. */
  async #halve(works: readonly Waiting[]): Promise<void> {
    const middle = Math.ceil(works.length / 2);
    await this.#runTogether(works.slice(0, middle));
    await this.#runTogether(works.slice(middle));
  }

  /** What a transaction had no time for goes on in the next one. */
  #goOn(works: readonly Waiting[]): void {
    const [short, long] = [true, false].map((isShort) =>
      works.filter(({ kind }) => this.#isShort(kind) === isShort),
    );
    this.#waiting.unshift(...(short ?? []));
    for (const { alone } of long ?? []) alone();
  }
}
