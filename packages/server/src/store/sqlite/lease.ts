import { PylonError } from "@pylonsync/protocol";
import { SerialQueue } from "../../util/serial-queue.ts";
import type { Platform, Timer } from "../../platform.ts";
import type { ReadLimits } from "../store.ts";
import type { PendingRead, ReaderProcess } from "./reader.ts";
import type { ReadRequest, ReadRow } from "./reader-protocol.ts";

/** The rows of a read. */
export interface PoolAnswer {
  readonly rows: ReadRow[];
  /** When it began to run, by `Platform.monotonic`. */
  readonly startedAt: number;
}

/** Told what becomes of a lease. */
export interface LeaseEvents {
  /** A read reached its deadline: only the end of its process ends it. */
  timedOut(): void;
  /** It is over. @param longestMs its longest read, in milliseconds */
  released(longestMs: number, isProcessUsable: boolean): void;
}

interface RunningRead extends PendingRead {
  readonly startedAt: number;
}

/** A reader process as long as it is one caller's. Its reads run one after another. */
export class Lease {
  readonly limits: ReadLimits;
  readonly #process: ReaderProcess;
  readonly #platform: Platform;
  readonly #events: LeaseEvents;
  readonly #queue = new SerialQueue();
  #running: RunningRead | null = null;
  /** Why there are no more reads. */
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

  /** @throws PylonError QUERY_TIMEOUT, OVERLOADED; ReadError for what the database refuses */
  run(request: ReadRequest): Promise<PoolAnswer> {
    return this.#queue.run(() => this.#start(request));
  }

  /** Gives the process back. A read that is still under way is ended with it. */
  release(): void {
    if (this.#end instanceof ReleasedError) return;
    const isProcessUsable = this.#running === null && this.#end === null;
    this.stop(new ReleasedError());
    this.#events.released(this.#longestMs, isProcessUsable);
  }

  /** There are no more reads: the one under way, and those to come, fail with this. */
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
      // An answer that came in while the event loop was held up is taken first.
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
