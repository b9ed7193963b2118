import { PylonError } from "@pylonsync/protocol";
import { SerialQueue } from "../../util/serial-queue.ts";
import type { Platform, Timer } from "../../platform.ts";
import type { ReadLimits } from "../store.ts";
import type { PendingRead, ReaderProcess } from "./reader.ts";
import type { ReadRequest, ReadRow } from "./reader-protocol.ts";

/** The result of a read. */
export interface PoolAnswer {
  readonly rows: ReadRow[];
  /** The time at which the read started to run, by `Platform.monotonic`. */
  readonly startedAt: number;
}

/** Notified of the end of a lease or of its reads. */
export interface LeaseEvents {
  /** A read reached its deadline: it can only be ended with its process. */
  timedOut(): void;
  /**
   * The lease has ended.
   *
   * @param longestMs the duration of its longest read, in milliseconds
   */
  released(longestMs: number, isProcessUsable: boolean): void;
}

interface RunningRead extends PendingRead {
  readonly startedAt: number;
}

/**
 * A reader process during the time in which one caller uses it. Its reads run one after another.
 */
export class Lease {
  readonly limits: ReadLimits;
  readonly #process: ReaderProcess;
  readonly #platform: Platform;
  readonly #events: LeaseEvents;
  readonly #queue = new SerialQueue();
  #running: RunningRead | null = null;
  /** The reason why no more reads are accepted. */
  #end: Error | null = null;
  #longestMs = 0;
  #timer: Timer | undefined;

  constructor(process: ReaderProcess, limits: ReadLimits, platform: Platform, events: LeaseEvents) {
    this.#process = process;
    this.#platform = platform;
    this.limits = limits;
    this.#events = events;
  }

  get isIdle(): boolean {
    return this.#running === null;
  }

  /** @throws PylonError QUERY_TIMEOUT, OVERLOADED; ReadError for an error of the database */
  run(request: ReadRequest): Promise<PoolAnswer> {
    return this.#queue.run(() => this.#start(request));
  }

  /** Returns the process. A read that is still running is ended with the process. */
  release(): void {
    if (this.#end instanceof ReleasedError) return;
    const isProcessUsable = this.#running === null && this.#end === null;
    this.stop(new ReleasedError());
    this.#events.released(this.#longestMs, isProcessUsable);
  }

  /** Rejects the running read and all later ones with this error. */
  stop(reason: Error): void {
    this.#end = reason;
    this.#finish()?.reject(reason);
  }

  #start(request: ReadRequest): Promise<PoolAnswer> {
    if (this.#end !== null) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => {
      const { monotonic, after, soon } = this.#platform;
      const startedAt = monotonic();
      const read: RunningRead = {
        startedAt,
        resolve: (rows) => {
          this.#finish();
          resolve({ rows, startedAt });
        },
        reject: (error) => {
          this.#finish();
          reject(error);
        },
      };
      this.#running = read;
      // A result that arrived while the event loop was blocked is processed first.
      this.#timer = after(this.limits.timeoutMs, () => soon(() => this.#expire(read)));
      this.#process.run(request, read);
    });
  }

  #finish(): RunningRead | null {
    const read = this.#running;
    if (read === null) return null;
    this.#timer?.cancel();
    this.#running = null;
    this.#longestMs = Math.max(this.#longestMs, this.#platform.monotonic() - read.startedAt);
    return read;
  }

  #expire(read: RunningRead): void {
    if (this.#running !== read) return;
    const seconds = this.limits.timeoutMs / 1000;
    this.stop(
      new PylonError("QUERY_TIMEOUT", `A read took longer than ${seconds} s.`, {
        hint: "Read fewer rows at a time, or filter by indexed fields.",
      }),
    );
    this.#events.timedOut();
  }
}

class ReleasedError extends Error {
  constructor() {
    super("This reader has been released.");
  }
}
