import type { ClientChange, PushResult } from "@pylonsync/protocol";
import { Emitter } from "../platform/emitter.ts";
import { MutationError, type ClientErrorCode } from "../connection/errors.ts";

/** A pending write. */
export interface PendingMutation {
  /** Also the `op_id`, with which the server recognizes a retry. */
  readonly id: string;
  readonly change: ClientChange & { readonly op_id: string };
  /**
   * The user who made it: it is never sent as another user. Undefined: the user that `witness`
   * identifies, before the server has identified them.
   */
  readonly userId: string | null | undefined;
  /** Identifies the session in which it was made, if the user was not known. */
  readonly witness?: string;
  /**
   * `pending`: without a response; `applied`: committed, and shown until the replica has it;
   * `calling`: not sent, but shown while a function call that will write it is running.
   */
  readonly status: "pending" | "applied" | "calling";
  /** The change log position at which the replica certainly has it. */
  readonly appliedAt?: number;
  /**
   * The change with relative operations resolved when it was sent: the replica may receive it
   * before the response, and nothing must be added twice.
   */
  readonly shown?: ClientChange;
  /** It was read from disk, where another tab may have read it too. */
  readonly isFound?: boolean;
}

/**
 * Why an entry was removed. `applied`: the replica has it; `elsewhere`: another tab has sent it, or
 * the user has signed out there.
 */
export type EndOfMutation = "applied" | "refused" | "dropped" | "elsewhere";

interface PendingResult {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: MutationError) => void;
}

/**
 * The storage of an app for the queue, on a platform without IndexedDB.
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
  /** Stores these writes, in this order, in place of the previous ones. */
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
  readonly #settlements = new Map<string, PendingResult>();
  readonly #changed = new Emitter<void>();
  readonly #refused = new Emitter<MutationError>();
  readonly #ended = new Emitter<{ readonly ids: readonly string[]; readonly why: EndOfMutation }>();
  #persistence: MutationQueuePersistence | null = null;
  /** Serializes saves; each saves the queue's state at that time. */
  #saving: Promise<void> = Promise.resolve();

  /** Listens to changes of the queue. */
  onChange(listener: () => void): () => void {
    return this.#changed.on(listener);
  }

  /** Listens to writes that the server rejected, after their removal. */
  onRefused(listener: (error: MutationError) => void): () => void {
    return this.#refused.on(listener);
  }

  /** Listens to removed entries, with the reason. */
  onEnd(
    listener: (end: { readonly ids: readonly string[]; readonly why: EndOfMutation }) => void,
  ): () => void {
    return this.#ended.on(listener);
  }

  /** Returns all entries, in order. */
  all(): readonly PendingMutation[] {
    return this.#entries;
  }

  /** Returns the entries without a response of the server. */
  pending(): readonly PendingMutation[] {
    return this.#entries.filter(({ status }) => status === "pending");
  }

  add(entry: Omit<PendingMutation, "status">, status: "pending" | "calling" = "pending"): void {
    if (status === "pending") this.#settlements.set(entry.id, pendingResult());
    this.#set([...this.#entries, { ...entry, status }]);
  }

  /** Sets the resolved changes of entries that are being sent for the first time. */
  show(changes: ReadonlyMap<ClientChange, ClientChange>): void {
    if (changes.size === 0) return;
    this.#set(
      this.#entries.map((entry) => {
        const shown = changes.get(entry.change);
        return shown === undefined ? entry : { ...entry, shown };
      }),
    );
  }

  /** Reports a write that can't be queued. */
  refuse(error: MutationError): void {
    this.#refused.emit(error);
  }

  /**
   * Loads the writes from disk, in their order; some may already be in the queue. Entries that are
   * only in the queue are newer.
   */
  load(found: readonly Omit<PendingMutation, "status">[]): void {
    const places = new Map(found.map(({ id }, place) => [id, place]));
    const known = new Set(this.#entries.map(({ id }) => id));
    const added = found.filter(({ id }) => !known.has(id));
    if (added.length === 0) return;
    for (const { id } of added) this.#settlements.set(id, pendingResult());
    const placeOf = ({ id, status }: PendingMutation): number =>
      places.get(id) ?? (status === "applied" ? -1 : found.length);
    const entries = [
      ...this.#entries,
      ...added.map((entry): PendingMutation => ({ ...entry, status: "pending", isFound: true })),
    ];
    this.#set(entries.toSorted((one, other) => placeOf(one) - placeOf(other)));
  }

  /** Removes entries that another tab has handled. */
  forget(ids: ReadonlySet<string>): void {
    const isGone = ({ id, status }: PendingMutation): boolean =>
      status === "pending" && ids.has(id);
    for (const { id } of this.#take(isGone, "elsewhere")) this.#settle(id);
  }

  /** The user of the witness is known now; entries of another witness can't be assigned. */
  claim(userId: string | null, witness: string): void {
    if (!this.#entries.some((entry) => entry.userId === undefined)) return;
    this.#drop((entry) => entry.userId === undefined && entry.witness !== witness);
    this.#set(
      this.#entries.map((entry) => (entry.userId === undefined ? { ...entry, userId } : entry)),
    );
  }

  /**
   * Resolves when the server has committed the write, or another tab, which receives the server's
   * response, has handled it.
   *
   * @throws MutationError if it was rejected
   */
  settled(id: string): Promise<void> {
    return this.#settlements.get(id)?.promise ?? Promise.resolve();
  }

  /**
   * Handles the server's results.
   *
   * @param seq the position of the log at the response: when the replica has reached it, it has the
   *   applied writes
   * @param known the position of the replica, because the change may arrive before the response
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

  /** The newest change made by a write of the queue that the replica lacks; 0 for none. */
  get lastApplied(): number {
    return Math.max(0, ...this.#entries.map(({ appliedAt = 0 }) => appliedAt));
  }

  /** Removes applied writes that the replica now has. */
  release(seq: number): void {
    this.#take(
      ({ status, appliedAt = Infinity }) => status === "applied" && appliedAt <= seq,
      "applied",
    );
  }

  /**
   * Stores the queue in the app's storage from now on; `hydrate` loads it. For a platform without
   * IndexedDB, where the engine stores nothing itself. An engine sends a write only as the user who
   * made it.
   */
  attachPersistence(persistence: MutationQueuePersistence): void {
    this.#persistence = persistence;
  }
  /** Loads the writes from an attached storage, before the engine starts. */
  async hydrate(): Promise<void> {
    this.load((await this.#persistence?.loadAll()) ?? []);
  }
  /** Marks a write as committed that the app has sent itself. */
  markApplied(id: string): void {
    this.answer([{ op_id: id, status: "applied" }], 0, 0);
  }
  /** Rolls a write back, as if the server had rejected it. @param message for `onRefused` */
  markFailed(id: string, message: string): void {
    const error = { code: "REFUSED" satisfies ClientErrorCode, message };
    this.answer([{ op_id: id, status: "refused", error }], 0, 0);
  }
  /** Removes committed writes, whether or not the replica has them yet. */
  clear(): void {
    this.release(Infinity);
  }
  /** Removes a write from the queue. If it is being sent, it may still be committed. */
  remove(id: string): void {
    this.#take((entry) => entry.id === id, "dropped");
    this.#settle(id);
  }

  /** Removes everything, because the user has signed out. */
  dropAll(): void {
    this.#drop(() => true);
  }

  /** Removes writes of other users, which must not be sent as this user. */
  dropForeign(userId: string | null): void {
    this.#drop((entry) => entry.userId !== undefined && entry.userId !== userId);
  }

  /** Removes the writes of this user, or of an anonymous caller. */
  dropOf(userId: string | null): void {
    this.#drop((entry) => entry.userId === userId);
  }

  /** Removes writes of a token that was removed before its user was known. */
  dropUnknown(): void {
    this.#drop((entry) => entry.userId === undefined);
  }

  #drop(isForeign: (entry: PendingMutation) => boolean): void {
    for (const { id, change, status } of this.#take(isForeign, "dropped")) {
      if (status !== "pending") continue;
      const error = new MutationError(change, {
        code: "SESSION_CHANGED",
        message: "You have signed out, or someone else has signed in, so this change was not sent.",
      });
      this.#settle(id, error);
      this.#refused.emit(error);
    }
  }

  /**
   * Removes writes that depend on a failed insert. Writes that the server has committed
   * nevertheless, on an existing row, stay until the replica has them.
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
      if (status !== "pending") return true;
      const error = gone.get(`${change.entity}/${change.row_id}`);
      if (error !== undefined) this.#settle(id, new MutationError(change, error));
      return error === undefined;
    });
  }

  /** Removes entries. @returns them */
  #take(
    isGone: (entry: PendingMutation) => boolean,
    why: EndOfMutation,
  ): readonly PendingMutation[] {
    const gone = this.#entries.filter(isGone);
    if (gone.length > 0) this.#set(this.#entries.filter((entry) => !isGone(entry)));
    this.#end(gone, why);
    return gone;
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
    // A failing disk must not prevent sending.
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

function pendingResult(): PendingResult {
  let resolve: () => void = () => undefined;
  let reject: (error: MutationError) => void = () => undefined;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  // Most callers do not wait; rejections are always reported to onRefused.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
