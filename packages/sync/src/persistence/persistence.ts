import { MutationError } from "../connection/errors.ts";
import type { EngineBus } from "../connection/events.ts";
import type { LocalStore } from "../replica/local-store.ts";
import { ReplicaSchema } from "../replica/replica-schema.ts";
import type { Schema } from "../replica/schema.ts";
import type { EndOfMutation, MutationQueue, PendingMutation } from "../outbox/mutation-queue.ts";
import type { Platform } from "../platform/platform.ts";
import { isSame, type ResolvedSession, type Session } from "../session/session.ts";
import type { Disk, KeptQuery, KeptReplica, KeptWrite, ReplicaHead } from "./disk.ts";
import { ReplicaWriter } from "./replica-writer.ts";

/**
 * The timeout for a disk to open or respond, in milliseconds: after it, the engine continues
 * without persistence.
 */
const OPEN_MS = 2_000;
const ANSWER_MS = 10_000;
/** How long a write that could not be stored waits for the server, in milliseconds. */
const RESPONSE_MS = 10_000;

/** The dependencies and callbacks of persistence. */
export interface PersistenceOptions {
  readonly open: () => Promise<Disk>;
  readonly platform: Platform;
  readonly session: Session;
  readonly queue: MutationQueue;
  readonly store: LocalStore;
  readonly epoch: () => string | null;
  /** The queries whose rows the store holds; undefined if it holds all rows. */
  readonly queries: () => readonly KeptQuery[] | undefined;
  /** Called with the stored rows of the signed-in user. @returns whether they are shown */
  readonly onReplica: (kept: KeptReplica, schema: Schema) => boolean;
  readonly events: EngineBus;
}

/**
 * Stores the queue and the replica for the next visit, and only returns them to the user to whom
 * they belong.
 *
 * Writes stay on disk until the server has responded, their user has signed out, or another user
 * has signed in. Before the server has identified the user, the token is the only proof: stored
 * data is shown to the holder of its token. A disk failure does not change anything else in the
 * engine.
 */
export class Persistence {
  readonly #options: PersistenceOptions;
  readonly #writer: ReplicaWriter;
  #disk: Disk | null = null;
  /** Serializes the work, so that a write is not removed before it was added. */
  #turn: Promise<unknown> = Promise.resolve();
  #isOpen = false;
  /** The opening, running or done; null while it is closed. */
  #opening: Promise<void> | null = null;
  /** The user has signed out while no disk was open: the next one is cleared first. */
  #mustClear = false;
  /** The disk stopped responding. */
  #isLost = false;
  /** The owner whose stored writes are all in the queue; undefined before that. */
  #owner: string | undefined;
  /** A replica that the store continues, and that no tab has claimed yet. */
  #found: ReplicaHead | null = null;
  /** The number of writes that wait to be stored. */
  #waiting = 0;
  /** Writes with a response that are being removed from disk. */
  readonly #over = new Set<string>();

  constructor(options: PersistenceOptions) {
    this.#options = options;
    const { platform, store } = options;
    this.#writer = new ReplicaWriter({
      platform,
      store,
      disk: () => this.#disk,
      head: () => this.#head(),
      onApplied: (ids) => this.#remove(ids),
      inTime: (write, withinMs) => this.#inTime(write, withinMs),
    });
    options.queue.onEnd(({ ids, why }) => this.#forget(ids, why));
    options.session.onConfirmed((session) => this.#confirm(session));
  }

  /**
   * Loads the stored data, as far as its owner is proven: once, until it is closed. Never fails,
   * and has a timeout.
   */
  open(): Promise<void> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open(): Promise<void> {
    this.#isOpen = true;
    await this.#openDisk();
    // Without a disk there is nothing to wait for.
    if (this.#disk === null) this.#options.events.emit({ type: "writes" });
  }

  async #openDisk(): Promise<void> {
    void this.#inTurn(async () => {
      if (this.#disk !== null || !this.#isOpen) return;
      // A synchronous error counts as a failure too.
      const opening = (async () => this.#options.open())();
      const disk = await this.#inTime(opening, OPEN_MS);
      if (disk === null)
        void opening.then(
          (late) => late.close(),
          () => undefined,
        );
      this.#disk = disk;
      if (disk === null) return;
      this.#isLost = false;
      if (this.#mustClear) await this.#inTime(disk.clear(), ANSWER_MS);
      this.#mustClear = false;
    });
    await this.use((disk) => this.#restore(disk));
  }

  /** Writes pending data, and closes the disk. */
  close(): void {
    this.#isOpen = false;
    this.#opening = null;
    // Writes are finished when their rows are on disk: they are removed before it is closed.
    void this.#inTime(this.#writer.flush(), ANSWER_MS).then(() =>
      this.#inTurn(() => {
        if (this.#isOpen) return;
        this.#disk?.close();
        this.#disk = null;
      }),
    );
  }

  /**
   * Whether the queue holds all writes that this user has on disk: new writes must not overtake
   * them.
   */
  hasWritesOf(userId: string | null): boolean {
    return this.#disk === null || this.#owner === this.#ownerOfUser(userId);
  }

  /** The store holds a replica of the signed-in user. */
  keepReplica(): void {
    const epoch = this.#options.epoch();
    if (this.#found !== null && epoch !== null) this.#claim(this.#found, epoch);
    else this.#writer.begin();
  }

  /** The store's cursor moved. */
  advanceReplica(): void {
    this.#writer.advance();
  }

  /** The store was emptied, because the user may have changed: nothing of it is written anymore. */
  leaveReplica(): void {
    this.#found = null;
    this.#writer.end();
  }

  /**
   * Stores a write. If that fails, waits for the server's response while it is connected.
   *
   * @throws MutationError the server's refusal; `NOT_KEPT` if there is no response in time, though
   *   it may still come
   */
  async keep(entry: PendingMutation, isLive: () => boolean): Promise<void> {
    if (await this.#add(entry)) return;
    const { platform, queue } = this.#options;
    await new Promise<void>((resolve, reject) => {
      const error = new MutationError(entry.change, {
        code: "NOT_KEPT",
        message: "The change could not be stored here. Keep the page open until it is sent.",
      });
      const cancel = platform.after(isLive() ? RESPONSE_MS : 0, () => reject(error));
      queue.settled(entry.id).then(resolve, reject).finally(cancel);
    });
  }

  /**
   * @returns once the write is stored, or can't be: false if it should have been stored and was
   *   not. Without an open disk the result is true.
   */
  async #add(entry: PendingMutation): Promise<boolean> {
    const owner = this.#ownerOf(entry);
    if (owner === null) return true;
    if (this.#isLost) await this.#openDisk();
    const write = toKept(entry, owner);
    // It does not wait for other work, because the page may be closed at any time, but it does not
    // overtake earlier writes.
    const disk = this.#disk;
    if (disk !== null && this.#owner === owner && this.#waiting === 0) {
      return (await this.#inTime((async () => disk.addWrites([write]))(), ANSWER_MS)) !== null;
    }
    if (!this.#isOpen) return true;
    this.#waiting += 1;
    const isKept = await this.use((opened) => opened.addWrites([write]));
    this.#waiting -= 1;
    return isKept;
  }

  /** Removes entries from the queue that are no longer on disk: another tab has sent them. */
  async prune(): Promise<void> {
    const { queue } = this.#options;
    const ids = queue.pending().flatMap(({ id, isFound }) => (isFound === true ? [id] : []));
    if (ids.length === 0) return;
    await this.use(async (disk) => {
      const kept = await disk.keptWrites(ids);
      queue.forget(new Set(ids.filter((id) => !kept.has(id))));
    });
  }

  /** The token changed: the server will identify its user. */
  changeUser(): void {
    this.leaveReplica();
    this.#owner = undefined;
    void this.use((disk) => disk.dropReplica());
  }

  /** The user has signed out of this browser: deletes everything. */
  signOut(): void {
    this.leaveReplica();
    this.#owner = undefined;
    if (this.#disk === null) this.#mustClear = true;
    void this.use((disk) => disk.clear());
  }

  async #restore(disk: Disk): Promise<void> {
    const { session, onReplica } = this.#options;
    const { proof } = session;
    if (!session.isKnown && proof !== null) {
      const kept = await disk.readSession();
      if (kept?.witness === proof && session.proof === proof && !session.isKnown)
        session.restore(kept.session);
    }
    if (session.isKnown) {
      const shown = await disk.readResults?.();
      if (shown && session.isKnown && isSame(shown.head.session, session.resolved))
        this.#options.store.preview(shown.results, ReplicaSchema.of(shown.head.schema));
      const kept = await disk.readReplica();
      if (kept !== null && session.isKnown && isSame(kept.head.session, session.resolved))
        if (onReplica(kept, ReplicaSchema.of(kept.head.schema))) this.#resume(kept.head);
    }
    await this.#loadWrites(disk);
  }

  /** Continues a replica from disk, unless several tabs may have loaded it. */
  #resume(head: ReplicaHead): void {
    const isOwn = head.epoch === this.#options.epoch();
    if (!isOwn) this.#found = head;
    this.#writer.resume(head.seq, !isOwn);
  }

  /** One of the tabs that have loaded a replica claims it. */
  #claim(head: ReplicaHead, epoch: string): void {
    void this.use(async (disk) => {
      const isClaimed = await disk.claimReplica?.(head, epoch);
      if (this.#found !== head) return;
      this.#found = null;
      if (isClaimed === true) this.#writer.release();
      else this.#writer.begin();
    });
  }

  #confirm(session: ResolvedSession): void {
    const { proof } = this.#options.session;
    // Anonymous users: only pending writes are kept, no replica.
    if (session.userId === null) this.leaveReplica();
    if (session.userId === null) void this.use((disk) => disk.dropReplica());
    else if (proof !== null)
      void this.use((disk) => disk.writeSession({ witness: proof, session }));
    void this.use((disk) => this.#loadWrites(disk));
  }

  /** Synchronizes the queue and the disk for the current user. */
  async #loadWrites(disk: Disk): Promise<void> {
    const { session, events } = this.#options;
    const { userId } = session;
    const owner = userId === undefined ? session.proof : this.#ownerOfUser(userId);
    if (owner === null) return;
    try {
      await this.#exchangeWrites(disk, userId, owner);
    } finally {
      // Unreadable writes must not block.
      if (userId !== undefined && userId === session.userId) {
        this.#owner = owner;
        events.emit({ type: "writes" });
      }
    }
  }

  async #exchangeWrites(
    disk: Disk,
    userId: string | null | undefined,
    owner: string,
  ): Promise<void> {
    const { session, queue } = this.#options;
    const { proof, witness } = session;
    // When a user is signed in, waiting writes of others are no longer sent.
    if (userId !== undefined) await disk.takeOver(owner, proof, userId !== null);
    await disk.addWrites(
      queue
        .pending()
        .flatMap((entry) => (this.#ownerOf(entry) === owner ? [toKept(entry, owner)] : [])),
    );
    const writes = await disk.readWrites(owner);
    if (userId !== session.userId || witness !== session.witness) return;
    const maker = userId === undefined ? { userId, witness } : { userId };
    queue.load(
      writes.flatMap(({ id, change }) => (this.#over.has(id) ? [] : [{ id, change, ...maker }])),
    );
  }

  #forget(ids: readonly string[], why: EndOfMutation): void {
    if (why === "elsewhere") return;
    this.#writer.look();
    for (const id of ids) this.#over.add(id);
    if (why === "applied") this.#writer.forgetWrites(ids);
    else this.#remove(ids);
  }

  #remove(ids: readonly string[]): void {
    const removed = this.use(async (disk) => {
      await disk.removeWrites(ids);
      for (const id of ids) this.#over.delete(id);
    });
    void removed.then(() => {
      // Without a disk they could not come back.
      if (this.#isOpen && this.#disk === null) this.#over.clear();
    });
  }

  #head(): ReplicaHead | null {
    const { session, store, epoch, queries } = this.#options;
    if (!session.isKnown || session.resolved.userId === null) return null;
    return {
      session: session.resolved,
      epoch: epoch(),
      seq: store.cursor.last_seq,
      schema: store.schema,
      queries: queries(),
    };
  }

  #ownerOf({ userId, witness }: PendingMutation): string | null {
    if (userId !== undefined) return this.#ownerOfUser(userId);
    const { proof } = this.#options.session;
    return witness === proof ? proof : null;
  }

  /** The admin has no user id, but a token. */
  #ownerOfUser(userId: string | null): string | null {
    if (userId !== null) return `user:${userId}`;
    const { resolved, proof } = this.#options.session;
    return resolved.isAdmin ? proof : "nobody";
  }

  /**
   * Queues work with the disk. Never fails.
   *
   * @returns whether it is done, or there was never a disk
   */
  use(work: (disk: Disk) => Promise<void>): Promise<boolean> {
    return this.#inTurn(async () => {
      const disk = this.#disk;
      if (disk === null) return !this.#isLost;
      const isDone = await this.#inTime(
        (async () => work(disk))().then(
          () => true,
          () => false,
        ),
        ANSWER_MS,
      );
      if (isDone !== null) return isDone;
      // A single hanging call would block every write.
      this.#disk = null;
      this.#isLost = true;
      this.#options.events.emit({ type: "writes" });
      return false;
    });
  }

  #inTurn<T>(work: () => Promise<T> | T): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn;
    return turn;
  }

  /** @returns null if it failed or timed out */
  #inTime<T>(work: Promise<T>, withinMs: number): Promise<T | null> {
    return new Promise((resolve) => {
      const cancel = this.#options.platform.after(withinMs, () => resolve(null));
      void work.then(resolve, () => resolve(null)).finally(cancel);
    });
  }
}

function toKept({ id, change }: PendingMutation, owner: string): KeptWrite {
  return { id, owner, change };
}
