import type { ClientChange, PushResult } from "@pylonsync/protocol";
import { Emitter } from "./emitter.ts";
import { MutationError } from "./errors.ts";

/** A write on its way. */
export interface PendingMutation {
  /** Also the `op_id`, by which the server knows a retry. */
  readonly id: string;
  readonly change: ClientChange & { readonly op_id: string };
  /** Who made it: it is never sent as somebody else. Undefined: the one whose token it was made with, before the server told who that is. */
  readonly userId: string | null | undefined;
  /** `pending`: not answered yet; `applied`: committed, and shown until the replica has it. */
  readonly status: "pending" | "applied";
  /** The change at which the replica has it for sure. */
  readonly appliedAt?: number;
}

interface Settlement {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: MutationError) => void;
}

/** The writes that the server has not confirmed to the replica yet, in the order in which they were made. */
export class MutationQueue {
  #entries: readonly PendingMutation[] = [];
  readonly #settlements = new Map<string, Settlement>();
  readonly #changed = new Emitter<void>();
  readonly #refused = new Emitter<MutationError>();

  /** Told after every change of the queue. */
  onChange(listener: () => void): () => void {
    return this.#changed.on(listener);
  }

  /** Told of every write that the server refused, after it was taken away. */
  onRefused(listener: (error: MutationError) => void): () => void {
    return this.#refused.on(listener);
  }

  /** All entries, in order. */
  all(): readonly PendingMutation[] {
    return this.#entries;
  }

  /** Those that the server has not answered. */
  pending(): readonly PendingMutation[] {
    return this.#entries.filter(({ status }) => status === "pending");
  }

  add(entry: Omit<PendingMutation, "status">): void {
    this.#settlements.set(entry.id, settlement());
    this.#set([...this.#entries, { ...entry, status: "pending" }]);
  }

  /** Resolves when the server has committed the write. @throws MutationError when it was refused */
  settled(id: string): Promise<void> {
    return this.#settlements.get(id)?.promise ?? Promise.resolve();
  }

  /**
   * Takes the server's answers.
   *
   * @param seq the log's head at the answer: the replica has the applied writes once it knows this change
   * @param known what the replica knows already, because the change may come before the answer
   */
  answer(results: readonly PushResult[], seq: number, known: number): void {
    const byId = new Map(results.map((result) => [result.op_id, result]));
    const refused: MutationError[] = [];
    const kept: PendingMutation[] = [];
    for (const entry of this.#entries) {
      const result = byId.get(entry.id);
      if (result === undefined) kept.push(entry);
      else if (result.status === "refused") {
        const error = new MutationError(entry.change, result.error ?? { code: "REFUSED", message: "The server refused the write." });
        refused.push(error);
        this.#settle(entry.id, error);
      } else {
        if (seq > known) kept.push({ ...entry, status: "applied", appliedAt: seq });
        this.#settle(entry.id);
      }
    }
    this.#set(this.#withoutFollowers(kept, refused));
    for (const error of refused) this.#refused.emit(error);
  }

  /** Forgets the applied writes that the replica now has. */
  release(seq: number): void {
    const kept = this.#entries.filter(({ status, appliedAt = Infinity }) => status === "pending" || appliedAt > seq);
    if (kept.length < this.#entries.length) this.#set(kept);
  }

  /** Drops what this user did not make: it must not be sent in the name of another. */
  dropForeign(userId: string | null): void {
    this.#drop((entry) => entry.userId !== undefined && entry.userId !== userId);
  }

  /** Drops what was made under a token that is gone before it was known whose it was. */
  dropUnknown(): void {
    this.#drop((entry) => entry.userId === undefined);
  }

  #drop(isForeign: (entry: PendingMutation) => boolean): void {
    const foreign = this.#entries.filter(isForeign);
    if (foreign.length === 0) return;
    this.#set(this.#entries.filter((entry) => !isForeign(entry)));
    for (const { id, change, status } of foreign) {
      if (status === "applied") continue;
      const error = new MutationError(change, { code: "SESSION_CHANGED", message: "Someone else is signed in now, so this change was not sent." });
      this.#settle(id, error);
      this.#refused.emit(error);
    }
  }

  /** What follows on a row that never came to be has no ground: it is gone with the insert. */
  #withoutFollowers(entries: readonly PendingMutation[], refused: readonly MutationError[]): PendingMutation[] {
    const gone = new Map(refused.filter(({ kind }) => kind === "insert").map((error) => [`${error.entity}/${error.rowId}`, error]));
    return entries.filter(({ id, change }) => {
      const error = gone.get(`${change.entity}/${change.row_id}`);
      if (error !== undefined) this.#settle(id, new MutationError(change, error));
      return error === undefined;
    });
  }

  #set(entries: readonly PendingMutation[]): void {
    this.#entries = entries;
    this.#changed.emit();
  }

  #settle(id: string, error?: MutationError): void {
    const known = this.#settlements.get(id);
    this.#settlements.delete(id);
    if (error === undefined) known?.resolve();
    else known?.reject(error);
  }
}

function settlement(): Settlement {
  let resolve: () => void = () => undefined;
  let reject: (error: MutationError) => void = () => undefined;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  // Most writers do not wait; a refusal is told to onRefused all the same.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
