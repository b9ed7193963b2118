import type { EngineBus } from "../connection/events.ts";
import type { LocalStore } from "../replica/local-store.ts";
import type { EndOfMutation, MutationQueue, PendingMutation } from "../outbox/mutation-queue.ts";
import type { Platform } from "../platform/platform.ts";
import { isSame, type ResolvedSession, type Session } from "../session/session.ts";
import type { Disk, KeptReplica, KeptWrite, ReplicaHead } from "./disk.ts";
import { ReplicaWriter } from "./replica-writer.ts";

/**
 * A disk that does not open, or does not answer, for this long is given up: the engine goes on
 * without.
 */
const OPEN_MS = 2_000;
const ANSWER_MS = 10_000;

/** What is kept, where, and who is told what was found. */
export interface PersistenceOptions {
  readonly open: () => Promise<Disk>;
  readonly platform: Platform;
  readonly session: Session;
  readonly queue: MutationQueue;
  readonly store: LocalStore;
  readonly epoch: () => string | null;
  /** The rows that were kept for the user who is signed in. @returns whether they are shown */
  readonly onReplica: (kept: KeptReplica) => boolean;
  readonly events: EngineBus;
}

/**
 * Keeps the queue and the replica for the next visit, and gives them to nobody but the user that
 * they are of.
 *
 * Writes stay on disk until the server has answered them, or their user has signed out, or somebody
 * else has signed in. Before the server has told who is there, only the token proves it: what is
 * kept is then shown to the one who holds it. A failure of the disk changes nothing of what the
 * engine does without one.
 */
export class Persistence {
  readonly #options: PersistenceOptions;
  readonly #writer: ReplicaWriter;
  #disk: Disk | null = null;
  /** One work after another, so that a write is not removed before it was added. */
  #turn: Promise<unknown> = Promise.resolve();
  #isOpen = false;
  /** There was a disk, and it stopped answering. */
  #isLost = false;
  /** Whose writes the queue holds all of; undefined before it is known. */
  #owner: string | undefined;
  /** Writes that wait for their turn to get on the disk. */
  #waiting = 0;
  /** Answered, and on their way off the disk. */
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
    });
    options.queue.onEnd(({ ids, why }) => this.#forget(ids, why));
    options.session.onConfirmed((session) => this.#confirm(session));
  }

  /** Takes what was kept, as far as it is proved whose it is. Never fails, and ends in time. */
  async open(): Promise<void> {
    this.#isOpen = true;
    await this.#openDisk();
    // Without a disk nothing is waited for.
    if (this.#disk === null) this.#options.events.emit({ type: "writes" });
  }

  async #openDisk(): Promise<void> {
    void this.#inTurn(async () => {
      if (this.#disk !== null || !this.#isOpen) return;
      // What throws at once has failed too.
      const opening = (async () => this.#options.open())();
      const disk = await this.#inTime(opening, OPEN_MS);
      if (disk === null)
        void opening.then(
          (late) => late.close(),
          () => undefined,
        );
      this.#disk = disk;
      if (disk !== null) this.#isLost = false;
    });
    await this.#use((disk) => this.#restore(disk));
  }

  /** Writes what is gathered, and lets go of the disk. */
  close(): void {
    this.#isOpen = false;
    // Which writes are over is known when their rows are on disk: they are taken off it before it
    // is closed.
    void this.#inTime(this.#writer.flush(), ANSWER_MS).then(() =>
      this.#inTurn(() => {
        if (this.#isOpen) return;
        this.#disk?.close();
        this.#disk = null;
      }),
    );
  }

  /**
   * Whether the queue holds all that this user has on disk: what is written now must not overtake
   * it.
   */
  hasWritesOf(userId: string | null): boolean {
    return this.#disk === null || this.#owner === this.#ownerOfUser(userId);
  }

  /** The store holds a snapshot of whoever is signed in. */
  keepReplica(): void {
    this.#writer.begin();
  }

  /** The store's cursor moved. */
  advanceReplica(): void {
    this.#writer.advance();
  }

  /**
   * The store's rows are gone, as somebody else may have signed in: nothing of it is written any
   * more.
   */
  leaveReplica(): void {
    this.#writer.end();
  }

  /**
   * @returns once the write is on disk, or can't be: false where it should be and is not. Nothing
   *   is said of a write that nobody's disk is there for.
   */
  async add(entry: PendingMutation): Promise<boolean> {
    const owner = this.#ownerOf(entry);
    if (owner === null) return true;
    if (this.#isLost) await this.#openDisk();
    const write = toKept(entry, owner);
    // It waits for nothing that is under way, because the page may be closed at any time; but it
    // overtakes no write that was made before it.
    const disk = this.#disk;
    if (disk !== null && this.#owner === owner && this.#waiting === 0) {
      return (await this.#inTime((async () => disk.addWrites([write]))(), ANSWER_MS)) !== null;
    }
    if (!this.#isOpen) return true;
    this.#waiting += 1;
    const isKept = await this.#use((opened) => opened.addWrites([write]));
    this.#waiting -= 1;
    return isKept;
  }

  /**
   * Takes out of the queue what was found on disk and is there no more: another tab has sent it.
   */
  async prune(): Promise<void> {
    const { queue } = this.#options;
    const ids = queue.pending().flatMap(({ id, isFound }) => (isFound === true ? [id] : []));
    if (ids.length === 0) return;
    await this.#use(async (disk) => {
      const kept = await disk.keptWrites(ids);
      queue.forget(new Set(ids.filter((id) => !kept.has(id))));
    });
  }

  /** Another token is used from now on: whose it is the server will tell. */
  changeUser(): void {
    this.#writer.end();
    this.#owner = undefined;
    void this.#use((disk) => disk.dropReplica());
  }

  /** The user has signed out of this browser, and leaves nothing behind. */
  signOut(): void {
    this.#writer.end();
    this.#owner = undefined;
    void this.#use((disk) => disk.clear());
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
        this.#options.store.preview(shown.results, shown.head.schema);
      const kept = await disk.readReplica();
      if (kept !== null && session.isKnown && isSame(kept.head.session, session.resolved))
        if (onReplica(kept)) this.#writer.resume();
    }
    await this.#loadWrites(disk);
  }

  #confirm(session: ResolvedSession): void {
    const { proof } = this.#options.session;
    // Anonymous users: only pending writes are kept, no replica.
    if (session.userId === null) this.#writer.end();
    if (session.userId === null) void this.#use((disk) => disk.dropReplica());
    else if (proof !== null)
      void this.#use((disk) => disk.writeSession({ witness: proof, session }));
    void this.#use((disk) => this.#loadWrites(disk));
  }

  /** Brings the queue and the disk together, for whoever is there. */
  async #loadWrites(disk: Disk): Promise<void> {
    const { session, events } = this.#options;
    const { userId } = session;
    const owner = userId === undefined ? session.proof : this.#ownerOfUser(userId);
    if (owner === null) return;
    try {
      await this.#exchangeWrites(disk, userId, owner);
    } finally {
      // What can't be read keeps nothing waiting.
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
    // When a user is there, what others left waiting is not sent any more.
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
    const removed = this.#use(async (disk) => {
      await disk.removeWrites(ids);
      for (const id of ids) this.#over.delete(id);
    });
    void removed.then(() => {
      // Without a disk there is nothing that they could come back from.
      if (this.#isOpen && this.#disk === null) this.#over.clear();
    });
  }

  #head(): ReplicaHead | null {
    const { session, store, epoch } = this.#options;
    if (!session.isKnown || session.resolved.userId === null) return null;
    return {
      session: session.resolved,
      epoch: epoch(),
      seq: store.cursor.last_seq,
      schema: store.schema,
    };
  }

  #ownerOf({ userId, witness }: PendingMutation): string | null {
    if (userId !== undefined) return this.#ownerOfUser(userId);
    const { proof } = this.#options.session;
    return witness === proof ? proof : null;
  }

  /** The admin has no user's id, but a token. */
  #ownerOfUser(userId: string | null): string | null {
    if (userId !== null) return `user:${userId}`;
    const { resolved, proof } = this.#options.session;
    return resolved.isAdmin ? proof : "nobody";
  }

  /**
   * Does something with the disk when it is its turn.
   *
   * @returns whether it is done, or there was never a disk to do it with
   */
  #use(work: (disk: Disk) => Promise<void>): Promise<boolean> {
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
      // What hangs once would keep every write waiting.
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

  /** @returns null where it failed or took too long */
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
