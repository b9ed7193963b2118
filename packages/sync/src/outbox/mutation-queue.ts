import type { ClientChange, PushResult } from "@pylonsync/protocol";
import { Emitter } from "../platform/emitter.ts";
import { MutationError, type ClientErrorCode } from "../connection/errors.ts";

/** A write on its way. */
export interface PendingMutation {
  /** Also the `op_id`, by which the server knows a retry. */
  readonly id: string;
  readonly change: ClientChange & { readonly op_id: string };
  /**
   * Who made it: it is never sent as somebody else. Undefined: whoever `witness` stands for, before
   * the server told who that is.
   */
  readonly userId: string | null | undefined;
  /** What told its maker from others, where the user was not known. */
  readonly witness?: string;
  /** `pending`: not answered yet; `applied`: committed, and shown until the replica has it. */
  readonly status: "pending" | "applied";
  /** The change at which the replica has it for sure. */
  readonly appliedAt?: number;
  /** It was found on disk, where another tab may have found it too. */
  readonly isFound?: boolean;
}

/**
 * Why an entry is gone. `applied`: the replica has it; `elsewhere`: another tab has sent it, or
 * somebody has signed out there.
 */
export type EndOfMutation = "applied" | "refused" | "dropped" | "elsewhere";

interface Settlement {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: MutationError) => void;
}

/**
 * Where an app keeps the queue itself, on a platform without IndexedDB.
 *
 * @example
 * import type { MutationQueuePersistence, PendingMutation } from "@pylonsync/sync";
 *
 * const kept = new Map<string, readonly PendingMutation[]>();
 * const persistence: MutationQueuePersistence = {
 *   saveAll: async (writes) => void kept.set("writes", writes),
 *   loadAll: async () => kept.get("writes") ?? [],
 * };
 */
export interface MutationQueuePersistence {
  /** Keeps these, in this order, in place of those before. */
  saveAll(writes: readonly PendingMutation[]): Promise<void>;
  loadAll(): Promise<readonly PendingMutation[]>;
}

/**
 * The writes that the server has not confirmed to the replica yet, in the order in which they were
 * made.
 *
 * @example
 * const unsent = engine.mutations.pending().length;
 */
export class MutationQueue {
  #entries: readonly PendingMutation[] = [];
  readonly #settlements = new Map<string, Settlement>();
  readonly #changed = new Emitter<void>();
  readonly #refused = new Emitter<MutationError>();
  readonly #ended = new Emitter<{ readonly ids: readonly string[]; readonly why: EndOfMutation }>();
  #persistence: MutationQueuePersistence | null = null;
  /** One save after another, of the queue as it is then. */
  #saving: Promise<void> = Promise.resolve();

  /** Told after every change of the queue. */
  onChange(listener: () => void): () => void {
    return this.#changed.on(listener);
  }

  /** Told of every write that the server refused, after it was taken away. */
  onRefused(listener: (error: MutationError) => void): () => void {
    return this.#refused.on(listener);
  }

  /** Told of the entries that are gone, and why. */
  onEnd(
    listener: (end: { readonly ids: readonly string[]; readonly why: EndOfMutation }) => void,
  ): () => void {
    return this.#ended.on(listener);
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

  /** Tells of a write that can't be queued. */
  refuse(error: MutationError): void {
    this.#refused.emit(error);
  }

  /**
   * Takes what is on disk, in the order in which it was written there, of which some may be here
   * already. What is only here is newer.
   */
  load(found: readonly Omit<PendingMutation, "status">[]): void {
    const places = new Map(found.map(({ id }, place) => [id, place]));
    const known = new Set(this.#entries.map(({ id }) => id));
    const added = found.filter(({ id }) => !known.has(id));
    if (added.length === 0) return;
    for (const { id } of added) this.#settlements.set(id, settlement());
    const placeOf = ({ id, status }: PendingMutation): number =>
      places.get(id) ?? (status === "applied" ? -1 : found.length);
    const entries = [
      ...this.#entries,
      ...added.map((entry): PendingMutation => ({ ...entry, status: "pending", isFound: true })),
    ];
    this.#set(entries.toSorted((one, other) => placeOf(one) - placeOf(other)));
  }

  /** Forgets what another tab has answered. */
  forget(ids: ReadonlySet<string>): void {
    const gone = this.#entries.filter(({ id, status }) => status === "pending" && ids.has(id));
    if (gone.length === 0) return;
    this.#set(this.#entries.filter((entry) => !gone.includes(entry)));
    for (const { id } of gone) this.#settle(id);
    this.#end(gone, "elsewhere");
  }

  /** It is known now who the witness stands for; what was made with another is nobody's. */
  claim(userId: string | null, witness: string): void {
    if (!this.#entries.some((entry) => entry.userId === undefined)) return;
    this.#drop((entry) => entry.userId === undefined && entry.witness !== witness);
    this.#set(
      this.#entries.map((entry) => (entry.userId === undefined ? { ...entry, userId } : entry)),
    );
  }

  /**
   * Resolves when the server has committed the write, or another tab has taken care of it, which is
   * told what the server answered.
   *
   * @throws MutationError when it was refused to this tab
   */
  settled(id: string): Promise<void> {
    return this.#settlements.get(id)?.promise ?? Promise.resolve();
  }

  /**
   * Takes the server's answers.
   *
   * @param seq the log's head at the answer: the replica has the applied writes once it knows this
   *   change
   * @param known what the replica knows already, because the change may come before the answer
   */
  answer(results: readonly PushResult[], seq: number, known: number): void {
    const byId = new Map(results.map((result) => [result.op_id, result]));
    const refused: MutationError[] = [];
    const over: PendingMutation[] = [];
    const kept: PendingMutation[] = [];
    for (const entry of this.#entries) {
      const result = byId.get(entry.id);
      if (result === undefined) kept.push(entry);
      else if (result.status === "refused") {
        const error = new MutationError(
          entry.change,
          result.error ?? { code: "REFUSED", message: "The server refused the write." },
        );
        refused.push(error);
        this.#settle(entry.id, error);
      } else {
        if (seq > known) kept.push({ ...entry, status: "applied", appliedAt: seq });
        else over.push(entry);
        this.#settle(entry.id);
      }
    }
    const before = this.#entries;
    this.#set(this.#withoutFollowers(kept, refused));
    const left = new Set(this.#entries.map(({ id }) => id));
    this.#end(over, "applied");
    this.#end(
      before.filter((entry) => !left.has(entry.id) && !over.includes(entry)),
      "refused",
    );
    for (const error of refused) this.#refused.emit(error);
  }

  /** The newest change that made a write of the queue, which the replica lacks; 0 for none. */
  get lastApplied(): number {
    return Math.max(0, ...this.#entries.map(({ appliedAt = 0 }) => appliedAt));
  }

  /** Forgets the applied writes that the replica now has. */
  release(seq: number): void {
    const kept = this.#entries.filter(
      ({ status, appliedAt = Infinity }) => status === "pending" || appliedAt > seq,
    );
    if (kept.length === this.#entries.length) return;
    const over = this.#entries.filter((entry) => !kept.includes(entry));
    this.#set(kept);
    this.#end(over, "applied");
  }

  /**
   * Keeps the queue where the app says, from now on; `hydrate` takes what is kept there. For a
   * platform without IndexedDB, where the engine keeps nothing itself. An engine sends a write only
   * as the user who made it.
   */
  attachPersistence(persistence: MutationQueuePersistence): void {
    this.#persistence = persistence;
  }
  /** Takes what an attached persistence has kept, before the engine starts. */
  async hydrate(): Promise<void> {
    this.load((await this.#persistence?.loadAll()) ?? []);
  }
  /** Takes a write as committed that the app has sent itself. */
  markApplied(id: string): void {
    this.answer([{ op_id: id, status: "applied" }], 0, 0);
  }
  /** Takes a write back, as if the server had refused it. @param message for `onRefused` */
  markFailed(id: string, message: string): void {
    const error = { code: "REFUSED" satisfies ClientErrorCode, message };
    this.answer([{ op_id: id, status: "refused", error }], 0, 0);
  }
  /** Forgets the writes that are committed, whether or not the replica has them yet. */
  clear(): void {
    this.release(Infinity);
  }
  /** Takes a write out of the queue. One that is being sent may be committed all the same. */
  remove(id: string): void {
    const gone = this.#entries.filter((entry) => entry.id === id);
    if (gone.length === 0) return;
    this.#set(this.#entries.filter((entry) => entry.id !== id));
    this.#settle(id);
    this.#end(gone, "dropped");
  }

  /** Drops everything: its user has signed out. */
  dropAll(): void {
    this.#drop(() => true);
  }

  /** Drops what this user did not make: it must not be sent in the name of another. */
  dropForeign(userId: string | null): void {
    this.#drop((entry) => entry.userId !== undefined && entry.userId !== userId);
  }

  /** Drops what this user, or nobody, made. */
  dropOf(userId: string | null): void {
    this.#drop((entry) => entry.userId === userId);
  }

  /** Drops what was made under a token that is gone before it was known whose it was. */
  dropUnknown(): void {
    this.#drop((entry) => entry.userId === undefined);
  }

  #drop(isForeign: (entry: PendingMutation) => boolean): void {
    const foreign = this.#entries.filter(isForeign);
    if (foreign.length === 0) return;
    this.#set(this.#entries.filter((entry) => !isForeign(entry)));
    this.#end(foreign, "dropped");
    for (const { id, change, status } of foreign) {
      if (status === "applied") continue;
      const error = new MutationError(change, {
        code: "SESSION_CHANGED",
        message: "You have signed out, or someone else has signed in, so this change was not sent.",
      });
      this.#settle(id, error);
      this.#refused.emit(error);
    }
  }

  /**
   * What follows on a row that never came to be has no ground: it is gone with the insert. What the
   * server has committed all the same, on a row that was there before, stays until the replica has
   * it.
   */
  #withoutFollowers(
    entries: readonly PendingMutation[],
    refused: readonly MutationError[],
  ): PendingMutation[] {
    const gone = new Map(
      refused
        .filter(({ kind }) => kind === "insert")
        .map((error) => [`${error.entity}/${error.rowId}`, error]),
    );
    return entries.filter(({ id, change, status }) => {
      if (status === "applied") return true;
      const error = gone.get(`${change.entity}/${change.row_id}`);
      if (error !== undefined) this.#settle(id, new MutationError(change, error));
      return error === undefined;
    });
  }

  #end(entries: readonly PendingMutation[], why: EndOfMutation): void {
    if (entries.length > 0) this.#ended.emit({ ids: entries.map(({ id }) => id), why });
  }

  #set(entries: readonly PendingMutation[]): void {
    this.#entries = entries;
    this.#changed.emit();
    this.#save();
  }

  #save(): void {
    const persistence = this.#persistence;
    if (persistence === null) return;
    // A disk that fails keeps nothing from being sent.
    this.#saving = this.#saving
      .then(() => persistence.saveAll(this.pending()))
      .catch(() => undefined);
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
