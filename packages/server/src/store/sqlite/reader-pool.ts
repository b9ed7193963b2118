import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { MAX_WAITING_READS, MAX_WAITING_READS_PER_CALLER, PylonError } from "@pylonsync/protocol";
import type { Platform, Timer } from "../../platform.ts";
import type { ReadLimits, StoreStats } from "../store.ts";
import { FairQueue } from "../../util/fair-queue.ts";
import { Lease, type PoolAnswer } from "./lease.ts";
import { ReaderProcess } from "./reader.ts";
import type { ReadRequest } from "./reader-protocol.ts";

/** Two for one caller, so that one can work while the result of the other is being transferred. */
const MIN_READERS = 3;
const MAX_READERS = 4;
/** An idle reader is ended after this time, in milliseconds. */
const IDLE_MS = 30_000;
/**
 * A caller with a read of at least this duration counts as slow for a while; both in milliseconds.
 */
const SLOW_READ_MS = 1_000;
const SLOW_CALLER_MS = 60_000;
/** Above this number of slow callers, those whose time is over are removed. */
const SLOW_CALLERS = 1_000;

/**
 * Reader processes for reads that may take long: they are started when they are needed, ended when
 * they are idle, and replaced when a read reached its deadline and had to be ended with its
 * process.
 *
 * Callers are served in turn. No caller can use all readers at once, and all callers with a slow
 * read in the last minute together leave one reader to the others.
 */
export class ReaderPool {
  readonly #path: string;
  readonly #platform: Platform;
  readonly #size: number;
  readonly #slots = new Set<Slot>();
  readonly #queue = new FairQueue<Turn>();
  /** Callers with slow reads, and the time until which they count as slow. */
  readonly #slowUntil = new Map<string, number>();
  readonly #counts = { timedOut: 0, refused: 0 };
  #isClosed = false;

  /** @param path of the database */
  constructor(path: string, platform: Platform) {
    this.#platform = platform;
    this.#path = resolve(path);
    this.#size = Math.min(MAX_READERS, Math.max(MIN_READERS, availableParallelism()));
  }

  get counts(): StoreStats["reads"] {
    return { ...this.#counts, waiting: this.#queue.size };
  }

  /**
   * Runs a read statement.
   *
   * @throws PylonError QUERY_TIMEOUT, OVERLOADED; ReadError for an error of the database
   */
  async run(request: ReadRequest, limits: ReadLimits): Promise<PoolAnswer> {
    const lease = await this.lease(limits);
    try {
      return await lease.run(request);
    } finally {
      lease.release();
    }
  }

  /**
   * Leases a reader for several reads of a caller. It must be released, otherwise the pool loses
   * it.
   *
   * @throws PylonError OVERLOADED
   */
  lease(limits: ReadLimits): Promise<Lease> {
    const { caller } = limits;
    if (
      this.#isClosed ||
      this.#queue.size >= MAX_WAITING_READS ||
      this.#queue.sizeOf(caller) >= MAX_WAITING_READS_PER_CALLER
    )
      return Promise.reject(this.#refusal());
    return new Promise((grant, reject) => {
      const turn: Turn = { limits, grant, reject, timer: undefined };
      this.#queue.add(caller, turn);
      this.#dispatch();
      // The caller waits at most as long as the read may run.
      if (this.#queue.has(caller, turn))
        turn.timer = this.#platform.after(limits.timeoutMs, () => this.#giveUp(turn));
    });
  }

  /** Ends all readers. Reads without a result are rejected. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#refuseWaiting(() => this.#refusal());
    const ends = [...this.#slots].map((slot) => {
      slot.lease?.stop(this.#refusal());
      return this.#end(slot);
    });
    await Promise.all(ends);
  }

  /** Assigns the free readers to waiting callers, and starts another reader if none is free. */
  #dispatch(): void {
    for (const slot of this.#slots) {
      if (!slot.process.isReady || slot.lease !== null || slot.isEnding) continue;
      const turn = this.#queue.take((caller) => this.#mayStart(caller));
      if (turn === undefined) return;
      this.#grant(slot, turn);
    }
    const starting = [...this.#slots].filter(({ process }) => !process.isReady).length;
    if (this.#queue.size > starting && this.#slots.size < this.#size) this.#addReader();
  }

  #mayStart(caller: string): boolean {
    const share = this.#size - 1;
    const callers = [...this.#slots].flatMap(({ lease }) => lease?.limits.caller ?? []);
    if (callers.filter((other) => other === caller).length >= share) return false;
    return !this.#isSlow(caller) || callers.filter((other) => this.#isSlow(other)).length < share;
  }

  #grant(slot: Slot, { limits, grant, timer }: Turn): void {
    timer?.cancel();
    slot.idleTimer?.cancel();
    slot.lease = new Lease(slot.process, limits, this.#platform, {
      timedOut: () => {
        this.#counts.timedOut += 1;
        void this.#end(slot);
      },
      released: (longestMs, isProcessUsable) => {
        if (longestMs >= SLOW_READ_MS) this.#markSlow(limits.caller);
        if (!isProcessUsable) void this.#end(slot);
        else this.#onFree(slot);
      },
    });
    grant(slot.lease);
  }

  #giveUp(turn: Turn): void {
    if (this.#queue.remove(turn.limits.caller, turn)) turn.reject(this.#refusal());
  }

  #addReader(): void {
    try {
      const slot: Slot = new Slot(this.#path, {
        ready: () => this.#onFree(slot),
        ended: (reason) => this.#ended(slot, reason),
      });
      this.#slots.add(slot);
    } catch (error) {
      // The system can't start another process. The existing ones serve the waiting reads.
      if (this.#slots.size === 0) this.#refuseWaiting(() => cannotStart(String(error)));
    }
  }

  #onFree(slot: Slot): void {
    slot.lease = null;
    slot.idleTimer = this.#platform.after(IDLE_MS, () => void this.#end(slot)).unref();
    this.#dispatch();
  }

  #ended(slot: Slot, reason: string): void {
    slot.idleTimer?.cancel();
    this.#slots.delete(slot);
    slot.markEnded();
    if (this.#isClosed) return;
    if (!slot.isEnding) slot.lease?.stop(lost(reason));
    // Another process would only fail again and again.
    if (!slot.process.isReady && !slot.isEnding && this.#slots.size === 0)
      this.#refuseWaiting(() => cannotStart(reason));
    this.#dispatch();
  }

  #end(slot: Slot): Promise<void> {
    slot.isEnding = true;
    slot.process.kill();
    return slot.ended;
  }

  #markSlow(caller: string): void {
    this.#slowUntil.set(caller, this.#platform.monotonic() + SLOW_CALLER_MS);
    if (this.#slowUntil.size <= SLOW_CALLERS) return;
    for (const known of this.#slowUntil.keys())
      if (!this.#isSlow(known)) this.#slowUntil.delete(known);
  }

  #isSlow(caller: string): boolean {
    return (this.#slowUntil.get(caller) ?? 0) > this.#platform.monotonic();
  }

  #refuseWaiting(reason: () => Error): void {
    for (;;) {
      const turn = this.#queue.take(() => true);
      if (turn === undefined) return;
      turn.timer?.cancel();
      turn.reject(reason());
    }
  }

  #refusal(): PylonError {
    this.#counts.refused += 1;
    return new PylonError("OVERLOADED", "The server has too many reads.", {
      hint: "Try again in a few seconds.",
      extra: { retry_after_secs: 1 },
    });
  }
}

/** This is a failure, not a rejection, so it must be logged. */
function cannotStart(reason: string): Error {
  return new Error(`A process that reads the database can't be started: ${reason}`);
}

function lost(reason: string): PylonError {
  return new PylonError("OVERLOADED", `The process that ran this read ended (${reason}).`, {
    hint: "Try again.",
    extra: { retry_after_secs: 1 },
  });
}

/** A caller that waits for a reader. */
interface Turn {
  readonly limits: ReadLimits;
  readonly grant: (lease: Lease) => void;
  readonly reject: (error: Error) => void;
  timer: Timer | undefined;
}

/** A reader of the pool. */
class Slot {
  readonly process: ReaderProcess;
  readonly ended: Promise<void>;
  lease: Lease | null = null;
  isEnding = false;
  idleTimer: Timer | undefined;
  markEnded: () => void = () => undefined;

  constructor(path: string, events: ConstructorParameters<typeof ReaderProcess>[1]) {
    this.ended = new Promise((resolveEnded) => {
      this.markEnded = resolveEnded;
    });
    this.process = new ReaderProcess(path, events);
  }
}
