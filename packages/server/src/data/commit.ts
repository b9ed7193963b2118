import {
  createIdFactory,
  DEFAULT_ROW_BYTES,
  MAX_HOOK_CALLS,
  PylonError,
} from "@pylonsync/protocol";
import { TRUE } from "@pylonsync/query";
import { inSpan } from "../observe/operation.ts";
import type { Platform } from "../platform.ts";
import { toPublicError } from "../request/responses.ts";
import type { Entity } from "../schema/schema.ts";
import type { Store, StoredRow, Transaction, TransactOptions } from "../store/store.ts";
import type { Caller } from "../identity/identity.ts";
import { claimable, claimOp, storedAnswer, storeAnswer, type Operation } from "./idempotency.ts";
import type { HookQueue } from "./hook-context.ts";
import type { DataModel } from "./model.ts";
import type { WriterOptions } from "./writer-options.ts";
import { Writer } from "./writer.ts";
import type { Cancellation } from "../util/cancellation.ts";

/** The caller on whose behalf work is committed, and the settings of the commit. */
export interface CommitOptions {
  readonly caller: Caller;
  /** Default `enforced`. */
  readonly policies?: "enforced" | "bypassed";
  /**
   * Makes a retry safe: the same operation of the same caller is applied once, and retries get the
   * first response. Nothing is stored for a caller without an identity.
   */
  readonly op?: Operation | undefined;
  readonly signal?: Cancellation | undefined;
  /** `unchecked`: rows may refer to rows that are inserted later, as in an import. */
  readonly references?: "checked" | "unchecked";
  /**
   * The entities whose rows the work writes one by one, if it does nothing else; absent if it may
   * read and write anything.
   */
  readonly writesOnly?: readonly string[] | undefined;
  /** As in TransactOptions. */
  readonly shared?: string | undefined;
}

/** The outcome of a piece of work. */
export interface Committed<T> {
  readonly result: T;
  /**
   * Whether the operation was applied before; then `result` is the first response, parsed from
   * JSON.
   */
  readonly replayed: boolean;
}

/** One of several pieces of work of a transaction. */
export interface CommitUnit<T> {
  readonly options: Omit<CommitOptions, "signal">;
  readonly work: (writer: Writer) => Promise<T>;
}

/** The outcome of one piece: `error` is the value that it threw. */
export type PieceOutcome<T> = { readonly committed: Committed<T> } | { readonly error: unknown };

/**
 * Called with the outcome of each commit: `refused` by a rule or by the writing code, `failed`
 * because of an internal error.
 */
export type CommitObserver = (
  outcome: "committed" | "refused" | "failed",
  durationMs: number,
) => void;

/**
 * Data that belongs to the rows of some entities without being rows of the app, and is deleted with
 * them.
 */
export interface CascadeDelete {
  /** Whether rows of the entity have such data. */
  readonly concerns: (entity: string) => boolean;
  /** Deletes the data of the row, in the transaction that deletes the row. */
  readonly delete: (tx: Transaction, row: StoredRow, entity: string) => Promise<void>;
  /** Changes the data of the row, in the transaction that updates the row. */
  readonly update?: (
    tx: Transaction,
    before: StoredRow,
    after: StoredRow,
    entity: string,
  ) => Promise<void>;
}

/**
 * The only write path. All code that writes an app's rows uses `commit`: authorisation, hooks,
 * rows, change records and the op_id share one transaction, and all of it is durable when the
 * promise resolves.
 */
export class Committer {
  readonly #store: Store;
  readonly #model: () => DataModel;
  readonly #platform: Platform;
  readonly #newId: () => string;
  readonly #observer: CommitObserver;
  readonly #maxRowBytes: number;
  readonly #cascades: CascadeDelete[] = [];
  readonly #pause = (): Promise<void> => new Promise((resolve) => this.#platform.soon(resolve));
  readonly #onDelete = async (tx: Transaction, entity: string, row: StoredRow): Promise<void> => {
    for (const cascade of this.#cascadesOf(entity)) await cascade.delete(tx, row, entity);
  };
  readonly #onUpdate = async (
    tx: Transaction,
    entity: string,
    before: StoredRow,
    after: StoredRow,
  ): Promise<void> => {
    for (const cascade of this.#cascadesOf(entity))
      await cascade.update?.(tx, before, after, entity);
  };
  #hookQueue: HookQueue | null = null;

  constructor(
    store: Store,
    model: () => DataModel,
    platform: Platform,
    observer: CommitObserver = () => undefined,
    maxRowBytes: number = DEFAULT_ROW_BYTES,
  ) {
    this.#maxRowBytes = maxRowBytes;
    this.#observer = observer;
    this.#store = store;
    this.#model = model;
    this.#platform = platform;
    this.#newId = createIdFactory(platform.now, platform.random);
  }

  /**
   * Registers data that is deleted with the rows of an entity, no matter which code deletes them.
   */
  onDeleteCascade(cascade: CascadeDelete): void {
    this.#cascades.push(cascade);
  }

  /** Sets the queue in which hooks schedule calls. */
  scheduleWith(queue: HookQueue): void {
    this.#hookQueue = queue;
  }

  /**
   * @param work writes through the given Writer; may run again after a conflict, so it must have no
   *   other effect
   * @throws the error of `work`, and PylonError IDEMPOTENCY_KEY_REUSED and
   *   RESULT_NOT_KEPT; then nothing is written
   */
  commit<T>(options: CommitOptions, work: (writer: Writer) => Promise<T>): Promise<Committed<T>> {
    const isolation = this.#isolationFor([options]);
    return this.#waking((scheduled) =>
      this.#store.transact((tx) => this.#once(tx, options, work, scheduled()), {
        signal: options.signal,
        shared: options.shared,
        isolation,
      }),
    );
  }

  /**
   * Applies several pieces of work in order, in one transaction. A piece that throws is rolled
   * back; the others continue.
   */
  commitEach<T>(pieces: readonly CommitUnit<T>[]): Promise<PieceOutcome<T>[]> {
    const isolation = this.#isolationFor(pieces.map(({ options }) => options));
    const [only] = pieces;
    if (only !== undefined && pieces.length === 1) return this.#commitOnly(only, isolation);
    return this.#waking((scheduled) =>
      this.#store.transact((tx) => this.#apply(tx, pieces, scheduled()), { isolation }),
    );
  }

  /**
   * Applies pieces with one savepoint for all, because most of the time none throws, and the store
   * can send their rows together. If one throws, the two halves are applied separately, down to the
   * piece itself.
   */
  async #apply<T>(
    tx: Transaction,
    pieces: readonly CommitUnit<T>[],
    times: number[],
  ): Promise<PieceOutcome<T>[]> {
    const before = times.length;
    try {
      return await tx.attempt(async () => {
        const outcomes: PieceOutcome<T>[] = [];
        for (const { options, work } of pieces)
          outcomes.push({ committed: await this.#once(tx, options, work, times) });
        return outcomes;
      });
    } catch (error) {
      times.length = before;
      if (pieces.length === 1) return [{ error }];
      const half = Math.ceil(pieces.length / 2);
      const first = await this.#apply(tx, pieces.slice(0, half), times);
      return [...first, ...(await this.#apply(tx, pieces.slice(half), times))];
    }
  }

  /** A single piece needs no savepoint: it is rolled back with its transaction. */
  async #commitOnly<T>(
    { options, work }: CommitUnit<T>,
    isolation: TransactOptions["isolation"],
  ): Promise<[PieceOutcome<T>]> {
    let thrown: unknown;
    try {
      const committed = await this.#waking((scheduled) =>
        this.#store.transact(
          (tx) =>
            this.#once(tx, options, work, scheduled()).catch((error: unknown) => {
              thrown = error;
              throw error;
            }),
          { isolation },
        ),
      );
      return [{ committed }];
    } catch (error) {
      const shown = toPublicError(error);
      // The store may find only at the end that a row can't be written.
      if (error === thrown || (shown !== undefined && shown.status < 500)) return [{ error }];
      throw error;
    }
  }

  /**
   * Deletes all rows of the app, regardless of references to them, and runs no hooks: for tests,
   * whose databases are small.
   */
  async clear(tx: Transaction): Promise<void> {
    const at = this.#platform.now();
    for (const entity of this.#model().schema.entities) {
      const { name } = entity;
      for (const row of await tx.select({ entity: name })) {
        const before = entity.logged(row);
        await tx.append({ entity: name, rowId: row.id, kind: "delete", before, after: null, at });
        for (const cascade of this.#cascadesOf(name)) await cascade.delete(tx, row, name);
      }
      await tx.deleteWhere(name, TRUE);
    }
  }

  /**
   * After the commit, notifies the queue of the due times of the calls that hooks have scheduled.
   *
   * @param commit calls its argument for an empty list of these times at the start of each attempt
   */
  async #waking<T>(commit: (scheduled: () => number[]) => Promise<T>): Promise<T> {
    let times: number[] = [];
    const result = await this.#observed(() => commit(() => (times = [])));
    if (times.length > 0) this.#hookQueue?.wake(times);
    return result;
  }

  async #observed<T>(commit: () => Promise<T>): Promise<T> {
    const { monotonic } = this.#platform;
    const started = monotonic();
    try {
      const result = await inSpan(
        "commit",
        "internal",
        { "db.system.name": this.#store.dialect },
        commit,
      );
      this.#observer("committed", monotonic() - started);
      return result;
    } catch (error) {
      const shown = toPublicError(error);
      const isRefusal = shown !== undefined && shown.status < 500;
      this.#observer(isRefusal ? "refused" : "failed", monotonic() - started);
      throw error;
    }
  }

  /**
   * Rules that look at other rows, and hooks, need a serializable transaction, because they must
   * see the state at the time of the commit. Single rows whose rules only look at themselves need
   * only a snapshot.
   */
  #isolationFor(pieces: readonly Omit<CommitOptions, "signal">[]): TransactOptions["isolation"] {
    if (pieces.some(({ writesOnly }) => writesOnly === undefined)) return "serializable";
    const { rules, hooks, schema } = this.#model();
    const isLocal = (name: string): boolean => {
      const entity = schema.find(name);
      if (entity === undefined) return true;
      return (
        rules.isLocal(entity.name) &&
        this.#cascadesOf(entity.name).length === 0 &&
        refersToNothing(entity)
      );
    };
    const isSingle =
      pieces.length > 0 &&
      hooks.isEmpty &&
      pieces.every(({ writesOnly }) => writesOnly?.every(isLocal) ?? false);
    return isSingle ? "snapshot" : "serializable";
  }

  #cascadesOf(entity: string): CascadeDelete[] {
    return this.#cascades.filter(({ concerns }) => concerns(entity));
  }

  async #once<T>(
    tx: Transaction,
    options: CommitOptions,
    work: (writer: Writer) => Promise<T>,
    times: number[],
  ): Promise<Committed<T>> {
    const { caller, policies = "enforced", op } = options;
    const claim = op === undefined ? null : claimable(caller, op);
    if (claim !== null && !(await claimOp(tx, claim, this.#platform.now()))) {
      return { result: (await storedAnswer(tx, claim)) as T, replayed: true };
    }
    const now = this.#platform.now();
    const result = await work(
      new Writer(tx, this.#model(), {
        caller,
        policies,
        now,
        newId: this.#newId,
        uuid: this.#platform.uuid,
        monotonic: this.#platform.monotonic,
        references: options.references,
        pause: this.#pause,
        maxRowBytes: this.#maxRowBytes,
        schedule: this.#scheduling(times),
        onDelete: this.#onDelete,
        onUpdate: this.#onUpdate,
      }),
    );
    if (claim !== null && claim.answer === undefined) await storeAnswer(tx, claim, result);
    return { result, replayed: false };
  }

  #scheduling(times: number[]): WriterOptions["schedule"] {
    const queue = this.#hookQueue;
    if (queue === null) return undefined;
    return async (tx, call) => {
      if (times.length >= MAX_HOOK_CALLS)
        throw new PylonError(
          "TRANSACTION_TOO_LARGE",
          `The hooks of one transaction may schedule at most ${MAX_HOOK_CALLS} calls.`,
          { hint: "The transaction was rolled back. Write fewer rows at a time." },
        );
      const { id, dueAt } = await queue.add(tx, call);
      times.push(dueAt);
      return id;
    };
  }
}

/**
 * Whether the entity has no references in either direction. With references, a row must not be
 * deleted concurrently with the insertion of a row that refers to it.
 */
function refersToNothing({ references, referrers }: Entity): boolean {
  return references.length === 0 && referrers.length === 0;
}
