import { DOCUMENT_UPDATE_MS } from "@pylonsync/protocol";
import type { Platform, Timer } from "../platform.ts";
import { FairQueue } from "../util/fair-queue.ts";
import { overloaded } from "./document-errors.ts";
import { MergeProcess } from "./merge-process.ts";
import type { MergeAnswer, MergeRequest } from "./merge-protocol.ts";

/** An idle process is ended after this time, in milliseconds. */
const IDLE_MS = 60_000;
/** A process that has this much memory is replaced: compiled code never releases any. */
const MAX_MEMORY_BYTES = 256 * 1024 * 1024;
/** How long a process may take to start, in milliseconds. */
const START_MS = 20_000;

/** The result of a request. */
export interface Outcome {
  /** The response of the process, or why there is none: it took too long, or it has ended. */
  readonly answer: MergeAnswer | { readonly kind: "too-slow" | "ended" };
  /** How long the process worked on it, in milliseconds. */
  readonly ms: number;
  /** Whether the process had merged something before. */
  readonly wasUsed: boolean;
}

/** A request that waits for the process, or is being worked on. */
interface Job {
  readonly request: MergeRequest;
  readonly caller: string;
  resolve(outcome: Outcome): void;
  reject(error: Error): void;
}

/** The dependencies of a lane. */
export interface MergeLaneOptions {
  readonly platform: Pick<Platform, "after" | "monotonic">;
  /** Whether other work of the machine comes first. */
  readonly isLowPriority: boolean;
  readonly onFailure: (message: string) => void;
}

/**
 * A process that merges documents, one at a time. It is started when it is needed, ended when it is
 * idle, and replaced when it fails, takes too long or uses too much memory.
 */
export class MergeLane {
  readonly #options: MergeLaneOptions;
  readonly #waiting = new FairQueue<Job>();
  #process: MergeProcess | null = null;
  #isReady = false;
  #isUsed = false;
  #job: Job | null = null;
  #jobStartedAt = 0;
  /** The time limit of the start or of the current job, or until an idle process is ended. */
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(options: MergeLaneOptions) {
    this.#options = options;
  }

  /**
   * Runs a request when it is its turn.
   *
   * @param caller callers take turns
   * @throws PylonError OVERLOADED
   */
  run(request: MergeRequest, caller: string): Promise<Outcome> {
    if (this.#isClosed) return Promise.reject(overloaded());
    return new Promise((resolve, reject) => {
      const job: Job = { request, caller, resolve, reject };
      this.#waiting.add(caller, job);
      this.#dispatch();
    });
  }

  /** Ends the process. Merges without a result are rejected. */
  close(): void {
    this.#isClosed = true;
    const process = this.#process;
    this.#forget();
    process?.kill();
    this.#finish({ kind: "ended" });
    for (let job = this.#next(); job !== undefined; job = this.#next()) job.reject(overloaded());
  }

  #next(): Job | undefined {
    return this.#waiting.take(() => true);
  }

  #dispatch(): void {
    if (this.#isClosed || this.#job !== null) return;
    if (this.#process === null) {
      if (this.#waiting.size > 0) this.#start();
      return;
    }
    if (!this.#isReady) return;
    const job = this.#next();
    if (job === undefined) {
      this.#limit(IDLE_MS, () => this.#replace());
      return;
    }
    this.#job = job;
    this.#jobStartedAt = this.#options.platform.monotonic();
    this.#limit(DOCUMENT_UPDATE_MS, () => {
      this.#options.onFailure(`a merge of a document took more than ${DOCUMENT_UPDATE_MS} ms`);
      this.#finish({ kind: "too-slow" });
      this.#replace();
    });
    this.#process.send(job.request);
  }

  #start(): void {
    const process = new MergeProcess(this.#options.isLowPriority, {
      ready: () => {
        if (this.#process !== process) return;
        this.#isReady = true;
        this.#dispatch();
      },
      answered: (answer, memoryBytes) => {
        if (this.#process !== process) return;
        this.#finish(answer);
        this.#isUsed = true;
        if (answer.kind === "failed" || memoryBytes > MAX_MEMORY_BYTES) this.#replace();
        this.#dispatch();
      },
      ended: (reason) => {
        if (this.#process === process) this.#ended(reason);
      },
    });
    this.#process = process;
    this.#isReady = false;
    this.#limit(START_MS, () => process.kill());
  }

  /** The process has ended by itself. */
  #ended(reason: string): void {
    const wasReady = this.#isReady;
    this.#options.onFailure(`the process that merges documents has ended: ${reason}`);
    this.#finish({ kind: "ended" });
    this.#forget();
    if (wasReady) return this.#dispatch();
    // Another process would only fail again and again.
    for (let job = this.#next(); job !== undefined; job = this.#next()) job.reject(overloaded());
  }

  /** Ends the process. The next job starts another one. */
  #replace(): void {
    const process = this.#process;
    this.#forget();
    process?.kill();
    this.#dispatch();
  }

  #forget(): void {
    this.#timer?.cancel();
    this.#process = null;
    this.#isReady = false;
    this.#isUsed = false;
  }

  #finish(answer: Outcome["answer"]): void {
    const job = this.#job;
    this.#job = null;
    this.#timer?.cancel();
    const ms = this.#options.platform.monotonic() - this.#jobStartedAt;
    job?.resolve({ answer, ms, wasUsed: this.#isUsed });
  }

  #limit(ms: number, onEnd: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#options.platform.after(ms, onEnd).unref();
  }
}
