import { currentOperation, runIn } from "../../observe/operation.ts";
import type { Platform } from "../../platform.ts";
import type { Transaction } from "../store.ts";

/** Transactions that are under way at the same time. */
const MAX_LANES = 2;
/** Pieces of work in one transaction; with fewer than MIN_WORKS no second one is opened. */
const MAX_WORKS = 50;
const MIN_WORKS = 8;
/** What took longer than this, in milliseconds, would keep those beside it waiting. */
const SHORT_MS = 20;
/** A transaction that runs for this long, in milliseconds, begins no further piece of work. */
const MAX_GROUP_MS = 100;
/** Kinds of work whose duration is known; others run in transactions of their own. */
const MAX_KINDS = 1_000;

/** A piece of work, which may be run several times. */
export interface SharedWork {
  readonly signal: AbortSignal | undefined;
  readonly run: (tx: Transaction) => Promise<void>;
}

/**
 * Runs works in one transaction, one after another, as long as `isOpen` says that there is time.
 *
 * @returns how many of them were committed, from the first one on
 * @throws OutcomeUnknown, and what undid all of them
 */
export type RunShared = (works: readonly SharedWork[], isOpen: () => boolean) => Promise<number>;

/** The works of a transaction may have been committed, for the `cause`: none may run again. */
export class OutcomeUnknown extends Error {
  override readonly name = "OutcomeUnknown";
}

interface Waiting extends SharedWork {
  readonly committed: () => void;
  /** Runs it in a transaction of its own. */
  readonly alone: () => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Puts short pieces of work that come at the same time into common transactions: each commit waits
 * for the disk, and each statement that begins or ends one for the network. When one of them fails,
 * all are undone, and each runs in a transaction of its own: so each succeeds or fails for itself.
 * Who submits bounds how many wait: a replica has a limit of jobs that it runs.
 */
export class SharedTransactions {
  readonly #run: RunShared;
  readonly #platform: Platform;
  readonly #waiting: Waiting[] = [];
  /** How long the last piece of work of a kind took, in milliseconds. */
  readonly #durations = new Map<string, number>();
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
    // Of an unknown kind one goes first.
    if ((this.#durations.get(kind) ?? Infinity) > SHORT_MS) return alone(measured);
    return new Promise<T>((resolve, reject) => {
      let result: T;
      this.#waiting.push({
        signal,
        run: async (tx) => {
          result = await measured(tx);
        },
        committed: () => resolve(result),
        alone: () => {
          alone(measured).then(resolve, reject);
        },
        failed: reject,
      });
      this.#start();
    });
  }

  #learn(kind: string, ms: number): void {
    if (this.#durations.size < MAX_KINDS || this.#durations.has(kind))
      this.#durations.set(kind, ms);
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
    const { monotonic } = this.#platform;
    const until = monotonic() + MAX_GROUP_MS;
    try {
      const count = works.length === 1 ? 0 : await this.#run(works, () => monotonic() < until);
      for (const { committed } of works.slice(0, count)) committed();
      for (const { alone } of works.slice(count)) alone();
    } catch (error) {
      for (const { alone, failed } of works)
        if (error instanceof OutcomeUnknown) failed(error.cause);
        else alone();
    } finally {
      this.#lanes -= 1;
      this.#start();
    }
  }
}
