import { createIdFactory } from "@pylonsync/protocol";
import { PylonClientError } from "../connection/errors.ts";
import type { LocalStore, RowKey } from "../replica/local-store.ts";
import type { Platform } from "../platform/platform.ts";
import type { Disk, KeptResult, KeptRow, ReplicaHead } from "./disk.ts";

/** How long changes are collected, in milliseconds: a burst of changes is one write. */
const GATHER_MS = 400;
/** The timeout of a write, in milliseconds: a hanging disk would block all others. */
const WRITE_MS = 60_000;
/** The delay before rows whose code could not be loaded are written again, in milliseconds. */
const RETRY_MS = 5_000;
/** Larger windows are not stored: they are not what a page shows first. */
const MAX_WINDOW_ROWS = 200;

/** The dependencies of a replica writer. */
export interface ReplicaWriterOptions {
  readonly platform: Platform;
  readonly store: LocalStore;
  readonly disk: () => Disk | null;
  /** Returns the position of the replica; null if it is not to be stored. */
  readonly head: () => ReplicaHead | null;
  /** The rows that these writes made are on disk, or never will be. */
  readonly onApplied: (ids: readonly string[]) => void;
  /** Waits for a write. @returns null if it failed or timed out */
  readonly inTime: <T>(write: Promise<T>, withinMs: number) => Promise<T | null>;
}

/** Writes the confirmed rows to disk: a complete snapshot, then collected changes. */
export class ReplicaWriter {
  readonly #options: ReplicaWriterOptions;
  readonly #newId: () => string;
  readonly #changed = new Map<string, RowKey>();
  /**
   * Serializes writes, separately from those of the queue, which must not wait for a large replica.
   */
  #turn: Promise<void> = Promise.resolve();
  /** The number of the current replica; writes for an earlier one are dropped. */
  #generation = 0;
  #isActive = false;
  #isHeld = false;
  #isWhole = false;
  /** The change up to which all rows have been passed to the disk. */
  #handedTo = 0;
  /** The queries that were passed to the disk with them. */
  #queries: ReplicaHead["queries"];
  #applied: string[] = [];
  /** Identifies the query results that were last written. */
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

  /** Returns the current query results for the disk; null if they are already stored. */
  #windows(disk: Disk | null, isForgotten: boolean): readonly KeptResult[] | null {
    if (disk?.writeResults === undefined) return null;
    const windows = [...this.#options.store.windows(MAX_WINDOW_ROWS)];
    const shown = windows.map(({ entity, key, version }) => `${entity} ${version} ${key}`).join();
    if (shown === this.#shown && !isForgotten) return null;
    this.#shown = shown;
    return windows.map(({ entity, key, rows }) => ({ entity, key, rows }));
  }

  /** The store holds a snapshot: writes it completely, and follows it from now on. */
  begin(): void {
    this.#isActive = true;
    this.#isHeld = false;
    this.#isWhole = true;
    this.#soon();
  }

  /**
   * The store holds the rows on disk, up to this change: later changes are written.
   *
   * @param isHeld changes are collected until `release`, because another tab may write instead
   */
  resume(seq: number, isHeld: boolean): void {
    this.#isActive = true;
    this.#isHeld = isHeld;
    this.#handedTo = seq;
  }

  /** Writes collected changes. */
  release(): void {
    this.#isHeld = false;
    this.#soon();
  }

  /** The cursor moved, perhaps without a change: a later visit continues from there. */
  advance(): void {
    if (this.#isActive) this.#soon();
  }

  /** Stops writing, because the store's rows are not to be stored. */
  end(): void {
    this.#generation += 1;
    this.#isActive = this.#isHeld = false;
    this.#isWhole = false;
    this.#shown = "";
    this.#changed.clear();
  }

  /** Query results may have changed, although no row of the server has. */
  look(): void {
    if (this.#isActive) this.#soon();
  }

  /**
   * Removes these writes once the rows that they made are on disk. If the tab is closed before,
   * they are sent again, and the server ignores duplicates.
   */
  forgetWrites(ids: readonly string[]): void {
    this.#applied.push(...ids);
    this.#soon();
  }

  /** Writes collected changes now. @returns when it is done */
  flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = null;
    const { store, head: headNow, onApplied } = this.#options;
    if (this.#isHeld) return this.#turn;
    const head = this.#isActive ? headNow() : null;
    const generation = this.#generation;
    const applied = this.#applied;
    const isWhole = this.#isWhole;
    const from = this.#handedTo;
    // Read now: when they are written, the store may belong to another user.
    const rows: readonly KeptRow[] = isWhole
      ? [...store.allConfirmed()]
      : [...this.#changed.values()].map((key) => ({ ...key, row: store.confirmed(key) }));
    const hasNews =
      head !== null &&
      (isWhole || rows.length > 0 || head.seq > from || head.queries !== this.#queries);
    const isForgotten = hasNews && (isWhole || rows.length > 0);
    const windows = head === null ? null : this.#windows(this.#options.disk(), isForgotten);
    if (hasNews) this.#handedTo = head.seq;
    if (hasNews) this.#queries = head.queries;
    this.#changed.clear();
    this.#isWhole = false;
    this.#applied = [];
    const write = async (): Promise<true> => {
      const disk = this.#options.disk();
      if (disk !== null && hasNews && generation === this.#generation)
        await this.#keep(disk, head, rows, isWhole ? null : from);
      if (disk !== null && head !== null && windows !== null && generation === this.#generation)
        // Without them a page shows its rows somewhat later.
        await disk.writeResults?.({ head, results: windows }).catch(() => undefined);
      if (applied.length > 0) onApplied(applied);
      return true;
    };
    this.#turn = this.#turn.then(async () => {
      // After a timeout nothing more is stored of this replica.
      if ((await this.#options.inTime(write(), WRITE_MS)) === null) this.end();
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
        await this.#writeAll(disk);
    } catch (error) {
      // The code that writes could not be loaded: the stored rows are complete, but older.
      if (error instanceof PylonClientError && generation === this.#generation)
        return this.#retryLater();
      this.end();
      // Storage may be full. A partial replica is useless; the queue is kept.
      await disk.dropReplica().catch(() => undefined);
    }
  }

  /** Another tab has stored less than the position from which this tab's changes continue. */
  async #writeAll(disk: Disk): Promise<void> {
    const { store, head: headNow } = this.#options;
    const head = headNow();
    if (head === null) return;
    this.#handedTo = head.seq;
    await disk.replaceReplica(head, [...store.allConfirmed()], this.#newId());
  }

  #retryLater(): void {
    this.#isWhole = true;
    this.#cancel ??= this.#options.platform.after(RETRY_MS, () => void this.flush());
  }

  #soon(): void {
    this.#cancel ??= this.#options.platform.after(GATHER_MS, () => void this.flush());
  }
}
