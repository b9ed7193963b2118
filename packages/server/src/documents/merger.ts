import {
  DOCUMENT_UPDATE_MS,
  MAX_DOCUMENT_BYTES,
  MAX_WAITING_DOCUMENT_UPDATES,
} from "@pylonsync/protocol";
import type { Platform, Timer } from "../platform.ts";
import { FairQueue } from "../util/fair-queue.ts";
import { overloaded, refusedUpdate } from "./document-errors.ts";
import { MergeProcess } from "./merge-process.ts";
import type {
  DocumentBytes,
  DocumentTexts,
  MergeAnswer,
  Merged,
  MergeRequest,
} from "./merge-protocol.ts";

/** An idle process is ended after this time, in milliseconds. */
const IDLE_MS = 60_000;
/** A process that has this much memory is replaced: compiled code never releases any. */
const MAX_MEMORY_BYTES = 256 * 1024 * 1024;
/** How often a merge is attempted, if the process may have been damaged before. */
const MAX_ATTEMPTS = 3;
/** How long a process may take to start, in milliseconds. */
const START_MS = 20_000;

/** The library could not process the update, or the document. */
export class MergeFailed extends Error {
  override readonly name = "MergeFailed";
}

/** A merge that a server requests. */
export interface Merge {
  /** The state of the document before; null for a new document. */
  readonly state: string | null;
  /** Reads the document in that state, if the process does not have it. */
  readonly parts: () => Promise<DocumentBytes>;
  readonly nextState: string;
  readonly texts: DocumentTexts;
  readonly update: Uint8Array | null;
  readonly needsSnapshot: boolean;
  /** Callers take turns: the same text for all merges of a user or a network address. */
  readonly caller: string;
}

/** The response to a request. */
interface Outcome {
  readonly answer: MergeAnswer;
  /** Whether the process had merged something before. */
  readonly wasUsed: boolean;
}

/** A request that waits for the process, or is being worked on. */
interface Job {
  readonly request: MergeRequest;
  readonly caller: string;
  /** @param outcome null if the process ended */
  resolve(outcome: Outcome | null): void;
  reject(error: Error): void;
}

/**
 * Merges documents in a separate process, which is started when it is needed, ended when it is
 * idle, and replaced when it fails, takes too long or uses too much memory.
 */
export class Merger {
  readonly #platform: Pick<Platform, "after">;
  /** The maximum number of characters of all texts of a document. */
  readonly maxLength: number;
  readonly #onFailure: (message: string) => void;
  readonly #waiting = new FairQueue<Job>();
  #process: MergeProcess | null = null;
  #isReady = false;
  #isUsed = false;
  #job: Job | null = null;
  /** The time limit of the start or of the current job, or until an idle process is ended. */
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(
    platform: Pick<Platform, "after">,
    maxLength: number,
    onFailure: (message: string) => void,
  ) {
    this.#platform = platform;
    this.maxLength = maxLength;
    this.#onFailure = onFailure;
  }

  /**
   * @throws PylonError CRDT_DECODE_FAILED, CRDT_APPLY_FAILED, PAYLOAD_TOO_LARGE, OVERLOADED;
   *   MergeFailed
   */
  async merge({ parts, caller, ...merge }: Merge): Promise<Merged> {
    const limits = { maxLength: this.maxLength, maxBytes: MAX_DOCUMENT_BYTES };
    let request: MergeRequest = { ...merge, ...limits };
    for (let attempts = 1; ; attempts += 1) {
      let outcome = await this.#run(request, caller);
      if (outcome?.answer.kind === "unknown") {
        request = { ...request, parts: await parts() };
        outcome = await this.#run(request, caller);
      }
      if (outcome === null) throw overloaded();
      const { answer, wasUsed } = outcome;
      if (answer.kind === "merged") return answer.merged;
      if (answer.kind === "refused") throw refusedUpdate(answer.refusal);
      // An earlier update may have damaged the process, which is replaced after a failure.
      if (!wasUsed || attempts === MAX_ATTEMPTS) throw new MergeFailed(JSON.stringify(answer));
    }
  }

  /** Ends the process. Merges without a result are rejected. */
  close(): void {
    this.#isClosed = true;
    const process = this.#process;
    this.#forget();
    process?.kill();
    this.#finish(null);
    for (let job = this.#next(); job !== undefined; job = this.#next()) job.reject(overloaded());
  }

  #run(request: MergeRequest, caller: string): Promise<Outcome | null> {
    if (this.#isClosed || this.#waiting.size >= MAX_WAITING_DOCUMENT_UPDATES)
      return Promise.reject(overloaded());
    return new Promise((resolve, reject) => {
      const job: Job = { request, caller, resolve, reject };
      this.#waiting.add(caller, job);
      this.#dispatch();
    });
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
    this.#limit(DOCUMENT_UPDATE_MS, () => {
      this.#onFailure(`a merge of a document took more than ${DOCUMENT_UPDATE_MS} ms`);
      this.#finish(null);
      this.#replace();
    });
    this.#process.send(job.request);
  }

  #start(): void {
    const process = new MergeProcess({
      ready: () => {
        if (this.#process !== process) return;
        this.#isReady = true;
        this.#dispatch();
      },
      answered: (answer, memoryBytes) => {
        if (this.#process !== process) return;
        this.#finish({ answer, wasUsed: this.#isUsed });
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
    this.#forget();
    this.#onFailure(`the process that merges documents has ended: ${reason}`);
    this.#finish(null);
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

  #finish(outcome: Outcome | null): void {
    const job = this.#job;
    this.#job = null;
    this.#timer?.cancel();
    job?.resolve(outcome);
  }

  #limit(ms: number, onEnd: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#platform.after(ms, onEnd).unref();
  }
}
