import { createIdFactory } from "@pylonsync/protocol";
import type { LocalStore, RowKey } from "../replica/local-store.ts";
import type { Platform } from "../platform/platform.ts";
import type { Disk, KeptResult, KeptRow, ReplicaHead } from "./disk.ts";

/** How long changes are gathered: a burst of the feed is one write. */
const GATHER_MS = 400;
/** Of larger windows nothing is kept: they are not what a page shows first. */
const MAX_WINDOW_ROWS = 200;

/** What is written, where and when. */
export interface ReplicaWriterOptions {
  readonly platform: Platform;
  readonly store: LocalStore;
  readonly disk: () => Disk | null;
  /** Where the replica is now; null when it is not to be kept. */
  readonly head: () => ReplicaHead | null;
  /** The rows that these writes made are on disk, or never will be. */
  readonly onApplied: (ids: readonly string[]) => void;
}

/** Brings the confirmed rows to disk: all of a snapshot, then what changes, gathered. */
export class ReplicaWriter {
  readonly #options: ReplicaWriterOptions;
  readonly #newId: () => string;
  readonly #changed = new Map<string, RowKey>();
  /**
   * One write after another, apart from those of the queue, which must not wait for a large
   * replica.
   */
  #turn: Promise<void> = Promise.resolve();
  /** Whose replica it is has a number; what is written for an older one is dropped. */
  #generation = 0;
  #isActive = false;
  #isWhole = false;
  /** The change up to which all rows have been handed to the disk. */
  #handedTo = 0;
  #applied: string[] = [];
  /** Tells what queries showed when it was last written. */
  #shown = "";
  #cancel: (() => void) | null = null;

  constructor(options: ReplicaWriterOptions) {
    this.#options = options;
    this.#newId = createIdFactory(options.platform.now, options.platform.randomBytes);
    options.store.onWatch(() => this.look());
    options.store.onConfirmed((keys) => {
      if (!this.#isActive) return;
      for (const key of keys) this.#changed.set(JSON.stringify([key.entity, key.id]), key);
      this.#soon();
    });
  }

  /** What queries show now, for a disk that keeps it; null where that is on disk already. */
  #windows(disk: Disk | null, isForgotten: boolean): readonly KeptResult[] | null {
    if (disk?.writeResults === undefined) return null;
    const windows = [...this.#options.store.windows(MAX_WINDOW_ROWS)];
    const shown = windows.map(({ entity, key, version }) => `${entity} ${version} ${key}`).join();
    if (shown === this.#shown && !isForgotten) return null;
    this.#shown = shown;
    return windows.map(({ entity, key, rows }) => ({ entity, key, rows }));
  }

  /** The store holds a snapshot: it is kept whole, and followed from now on. */
  begin(): void {
    this.#isActive = true;
    this.#isWhole = true;
    this.#soon();
  }

  /** The store holds what is on disk, up to its cursor: what changes is written from now on. */
  resume(): void {
    this.#isActive = true;
    this.#handedTo = this.#options.store.cursor.last_seq;
  }

  /** The cursor moved, perhaps without a change: a later visit goes on from there. */
  advance(): void {
    if (this.#isActive && this.#options.store.cursor.last_seq > this.#handedTo) this.#soon();
  }

  /** What the store holds is not to be kept, nor what is on its way to disk. */
  end(): void {
    this.#generation += 1;
    this.#isActive = false;
    this.#isWhole = false;
    this.#shown = "";
    this.#changed.clear();
  }

  /** Queries may show something else, though no row of the server's has changed. */
  look(): void {
    if (this.#isActive) this.#soon();
  }

  /**
   * Forgets these writes once the rows that they made are on disk; a tab that is closed before
   * sends them again, and they count once.
   */
  forgetWrites(ids: readonly string[]): void {
    this.#applied.push(...ids);
    this.#soon();
  }

  /** Writes what is gathered now. @returns when it is done */
  flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = null;
    const { store, head: headNow, onApplied } = this.#options;
    const head = this.#isActive ? headNow() : null;
    const generation = this.#generation;
    const applied = this.#applied;
    const isWhole = this.#isWhole;
    const from = this.#handedTo;
    // Taken now: when it is their turn the store may hold another user's.
    const rows: readonly KeptRow[] = isWhole
      ? [...store.allConfirmed()]
      : [...this.#changed.values()].map((key) => ({ ...key, row: store.confirmed(key) }));
    const hasNews = head !== null && (isWhole || rows.length > 0 || head.seq > from);
    const isForgotten = hasNews && (isWhole || rows.length > 0);
    const windows = head === null ? null : this.#windows(this.#options.disk(), isForgotten);
    if (hasNews) this.#handedTo = head.seq;
    this.#changed.clear();
    this.#isWhole = false;
    this.#applied = [];
    this.#turn = this.#turn.then(async () => {
      const disk = this.#options.disk();
      if (disk !== null && hasNews && generation === this.#generation)
        await this.#keep(disk, head, rows, isWhole ? null : from);
      if (disk !== null && head !== null && windows !== null && generation === this.#generation)
        // A page without them shows its rows somewhat later.
        await disk.writeResults?.({ head, results: windows }).catch(() => undefined);
      if (applied.length > 0) onApplied(applied);
    });
    return this.#turn;
  }

  /** @param from the change after which the rows begin; null for all rows */
  async #keep(
    disk: Disk,
    head: ReplicaHead,
    rows: readonly KeptRow[],
    from: number | null,
  ): Promise<void> {
    const generation = this.#generation;
    try {
      if (from === null) await disk.replaceReplica(head, rows, this.#newId());
      else if (!(await disk.patchReplica(head, from, rows)) && generation === this.#generation)
        await this.#keepAll(disk);
    } catch {
      // Storage is full, it may be. A part of a replica is worth nothing; the queue goes on.
      this.end();
      await disk.dropReplica().catch(() => undefined);
    }
  }

  /** Another tab has left less on the disk than this one's changes go on from. */
  async #keepAll(disk: Disk): Promise<void> {
    const { store, head: headNow } = this.#options;
    const head = headNow();
    if (head === null) return;
    this.#handedTo = head.seq;
    await disk.replaceReplica(head, [...store.allConfirmed()], this.#newId());
  }

  #soon(): void {
    this.#cancel ??= this.#options.platform.after(GATHER_MS, () => void this.flush());
  }
}
