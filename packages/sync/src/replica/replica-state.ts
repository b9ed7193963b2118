import type { EngineBus } from "../connection/events.ts";
import type { KeptReplica, KeptRow } from "../persistence/disk.ts";
import { isSame, type ResolvedSession } from "../session/session.ts";
import type { LocalStore } from "./local-store.ts";
import type { Schema } from "./schema.ts";

/**
 * The prefix of the epoch of a replica with single queries: no server continues it as a full
 * replica. The tab's id follows, because no other tab writes the same on disk.
 */
const OF_QUERIES = "queries:";

/** The dependencies and callbacks of the replica's state. */
export interface ReplicaStateOptions {
  readonly store: LocalStore;
  readonly events: EngineBus;
  /** Identifies this tab if the replica holds single queries; otherwise null. */
  readonly queriesOf: string | null;
  /** The rows belonged to another user. */
  readonly onDrop: () => void;
}

/** The user of the store's rows, and the position from which they can be continued. */
export class ReplicaState {
  readonly #options: ReplicaStateOptions;
  #hasReplica = false;
  /** The user of the replica; null without one. */
  #session: ResolvedSession | null = null;
  #isKept = false;
  #epoch: string | null = null;
  /** Whether this tab stores the rows of single queries on disk. */
  #isWriting = false;
  #isOutdated = false;

  constructor(options: ReplicaStateOptions) {
    this.#options = options;
  }

  /** The log of the replica. */
  get epoch(): string | null {
    return this.#epoch;
  }
  /** Whether the replica holds a state of the server. */
  get hasReplica(): boolean {
    return this.#hasReplica;
  }
  /** Whether the replica is from an earlier visit. */
  get isKept(): boolean {
    return this.#isKept;
  }

  /**
   * Shows the replica of an earlier visit, which is continued on connection.
   *
   * @returns false if there is already a replica
   */
  restore({ head, rows }: KeptReplica, schema: Schema): boolean {
    if (this.#hasReplica) return false;
    this.#options.store.restore(rows, head.seq, schema);
    this.#showKept(this.#ownEpoch ?? head.epoch, head.session);
    return true;
  }

  /**
   * Shows rows that came with the page until the server's rows replace all of them.
   *
   * @param session the user of the rows; null if the page does not specify it
   */
  hydrate(rows: Iterable<KeptRow>, seq: number, session: ResolvedSession | null): void {
    if (this.#hasReplica) return;
    this.#options.store.restore(rows, seq);
    // Without an epoch, nothing is continued from there.
    this.#showKept(null, session);
  }

  /** The user may have changed: drops everything. */
  drop(): void {
    this.#hasReplica = this.#isKept = this.#isWriting = this.#isOutdated = false;
    this.#session = this.#epoch = null;
    const { store, events, onDrop } = this.#options;
    onDrop();
    store.replaceAll([], 0);
    events.emit({ type: "drop" });
    events.emit({ type: "connection" });
  }

  /**
   * The server has identified the user: rows of another user are dropped.
   *
   * @returns whether there was a replica of a user with other permissions
   */
  follow(session: ResolvedSession): boolean {
    const known = this.#session;
    if (known === null) return false;
    if (known.userId !== session.userId || known.tenantId !== session.tenantId) this.drop();
    return !isSame(known, session);
  }

  /** Whether it can be continued for this user. */
  continuesFor(session: ResolvedSession): boolean {
    // The epoch shows whether permissions have changed since an earlier visit. An older server has
    // none, or one that does not show it.
    const canContinue = !this.#isKept || (this.#epoch?.includes(".") ?? false);
    return this.#hasReplica && !this.#isOutdated && canContinue && isSame(this.#session, session);
  }

  /** The server can't continue from its position. */
  outdate(): void {
    this.#isOutdated = true;
  }

  /** The store holds a current snapshot. */
  begin(epoch: string | null, session: ResolvedSession): void {
    this.#epoch = epoch;
    this.#hasReplica = true;
    this.#session = session;
    this.#isKept = this.#isOutdated = false;
    const { events } = this.#options;
    events.emit({ type: "snapshot" });
    events.emit({ type: "advance" });
    events.emit({ type: "connection" });
  }

  /** Starts with the existing rows of the same user, and holds requested rows. */
  beginQueries(session: ResolvedSession): void {
    const isOther = !isSame(this.#session, session);
    if (isOther && this.#hasReplica) this.drop();
    this.#isOutdated = false;
    if (!isOther && this.#epoch === this.#ownEpoch) return;
    this.#epoch = this.#ownEpoch;
    this.#hasReplica = true;
    this.#session = session;
    this.#options.events.emit({ type: "connection" });
  }

  /** The live connection has sent the id of its log. */
  describe(epoch: string): void {
    this.#epoch = epoch;
  }

  /** The server has responded in this visit. */
  refresh(): void {
    if (!this.#isKept) return;
    this.#isKept = false;
    this.#options.events.emit({ type: "connection" });
  }

  /**
   * Of the tabs that show the same replica, the one with the connection stores the rows on disk.
   */
  write(): void {
    if (this.#isWriting) return;
    this.#isWriting = true;
    this.#options.events.emit({ type: "snapshot" });
  }

  /** Another tab has the connection. */
  leaveWriting(): void {
    this.#isWriting = false;
    this.#options.events.emit({ type: "follow" });
  }

  get #ownEpoch(): string | null {
    const { queriesOf } = this.#options;
    return queriesOf === null ? null : OF_QUERIES + queriesOf;
  }

  #showKept(epoch: string | null, session: ResolvedSession | null): void {
    this.#epoch = epoch;
    this.#session = session;
    this.#isKept = this.#hasReplica = true;
    this.#options.events.emit({ type: "connection" });
  }
}
