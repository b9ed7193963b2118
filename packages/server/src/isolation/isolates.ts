import { MAX_WAITING_ISOLATED_CALLS, PylonError } from "@pylonsync/protocol";
import type { Isolate, IsolatedRun } from "../functions/isolation.ts";
import type { EncodedResult } from "../functions/encode-result.ts";
import type { Platform, Timer } from "../platform.ts";
import type { Cancellation } from "../util/cancellation.ts";
import { FairQueue } from "../util/fair-queue.ts";
import { IsolateProcess } from "./isolate-process.ts";
import { IsolateSocket } from "./isolate-socket.ts";
import type { LoadMessage } from "./protocol.ts";

/** The interval at which running processes are checked, in milliseconds. */
const POLL_MS = 25;
/** The duration after which a call's process gets a lower CPU priority, in milliseconds. */
const LONG_CALL_MS = 250;
/** The idle time after which a process is ended, in milliseconds. */
const IDLE_MS = 30_000;
/** The time that an aborted handler has to end by itself, in milliseconds. */
const GRACE_MS = 100;
/** A process that uses more than this share of its memory limit between calls is replaced. */
const MAX_IDLE_SHARE = 0.75;

/** The app and the limits of the processes. */
export interface IsolatesOptions {
  /** Returns the current app; null if its functions were not loaded from files. */
  readonly app: () => Omit<LoadMessage, "kind" | "env" | "dev"> | null;
  /** Returns `ctx.env` and `process.env` of functions. */
  readonly env: () => LoadMessage["env"];
  readonly dev: boolean;
  readonly size: number;
  /** The maximum memory of a process, in bytes. */
  readonly memoryBytes: number;
  readonly platform: Platform;
}

/**
 * A pool of processes for handlers. They are started on demand, with one spare process while others
 * are busy, ended when they are idle, and replaced when a call had to be ended with its process.
 *
 * A process runs one call at a time, including its nested calls. Functions take turns, and none can
 * occupy all processes, so one that never returns only delays its own calls.
 */
export class Isolates {
  readonly #options: IsolatesOptions;
  readonly #slots = new Set<Slot>();
  readonly #queue = new FairQueue<Turn>();
  /** Null until a process is needed. */
  #socket: IsolateSocket | null = null;
  #pollTimer: Timer | null = null;
  #isPollingOften = false;
  #isClosed = false;

  constructor(options: IsolatesOptions) {
    this.#options = options;
  }

  /** The numbers of running processes and of calls that wait for one. */
  get counts(): { readonly processes: number; readonly waiting: number } {
    return { processes: this.#slots.size, waiting: this.#queue.size };
  }

  /** Acquires a process for a call. @throws PylonError OVERLOADED, and the signal's reason */
  enter(name: string, requestId: string, signal: Cancellation): Promise<Isolate> {
    if (this.#isClosed || this.#queue.size >= MAX_WAITING_ISOLATED_CALLS)
      return Promise.reject(overloaded());
    return new Promise((grant, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = (): void => {
        if (this.#queue.remove(name, turn)) reject(signal.reason);
      };
      const settle = (): void => signal.removeEventListener("abort", onAbort);
      const turn: Turn = {
        name,
        grant: (slot) => {
          settle();
          grant(this.#isolateOf(slot, requestId));
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#queue.add(name, turn);
      this.#dispatch();
    });
  }

  /**
   * Called when the app was reloaded: later calls run in processes that have loaded the new
   * version.
   */
  replace(): void {
    for (const slot of this.#slots) {
      slot.isOld = true;
      if (slot.name === null) this.#end(slot);
    }
    this.#dispatch();
  }

  /** Ends all processes. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#refuseWaiting(overloaded());
    const ends = [...this.#slots].map((slot) => slot.ended);
    for (const slot of this.#slots) this.#end(slot);
    await Promise.all(ends);
    this.#stopPoll();
    this.#socket?.close();
  }

  /** Assigns free processes to waiting calls, and starts processes if there are too few. */
  #dispatch(): void {
    for (const slot of this.#slots) {
      if (!slot.isFree) continue;
      const turn = this.#queue.take((name) => this.#mayStart(name));
      if (turn === undefined) break;
      this.#grant(slot, turn);
    }
    if (this.#isClosed) return;
    const slots = [...this.#slots];
    const atWork = slots.filter(({ name }) => name !== null).length;
    const coming = slots.filter(({ isUsable, name }) => isUsable && name === null).length;
    const needed = this.#queue.size + (atWork > 0 ? 1 : 0);
    for (let more = needed - coming; more > 0 && this.#slots.size < this.#options.size; more -= 1)
      this.#addProcess();
  }

  #mayStart(name: string): boolean {
    const share = Math.max(1, this.#options.size - 1);
    return [...this.#slots].filter((slot) => slot.name === name).length < share;
  }

  #grant(slot: Slot, turn: Turn): void {
    slot.name = turn.name;
    slot.since = this.#options.platform.monotonic();
    this.#startPoll();
    turn.grant(slot);
  }

  #isolateOf(slot: Slot, requestId: string): Isolate {
    return {
      run: (call: IsolatedRun): Promise<EncodedResult> => slot.process.run(call, requestId),
      release: () => this.#release(slot),
    };
  }

  #release(slot: Slot): void {
    if (slot.process.isBusy) {
      // Its handler was aborted, so the result of its remaining work is not needed.
      const timer = this.#options.platform.after(GRACE_MS, () => this.#end(slot)).unref();
      slot.isEnding = true;
      void slot.ended.then(() => timer.cancel());
      this.#dispatch();
      return;
    }
    slot.name = null;
    const { memoryBytes } = this.#options;
    slot.since = this.#options.platform.monotonic();
    if (slot.isOld || slot.memoryBytes > memoryBytes * MAX_IDLE_SHARE) this.#end(slot);
    this.#dispatch();
  }

  #addProcess(): void {
    const { app, dev, env, platform } = this.#options;
    const source = app();
    if (source === null) return;
    try {
      this.#socket ??= new IsolateSocket();
      const name = platform.uuid();
      const slot: Slot = new Slot(
        this.#socket.path,
        name,
        { ...source, env: env(), dev },
        {
          ready: () => {
            slot.since = platform.monotonic();
            this.#dispatch();
          },
          ended: (reason) => {
            this.#socket?.forget(name);
            this.#ended(slot, reason);
          },
        },
      );
      this.#socket.expect(name, slot.process);
      this.#slots.add(slot);
    } catch (error) {
      // The system can't start a process. The existing ones continue with the waiting calls.
      if (this.#slots.size === 0) this.#refuseWaiting(cannotStart(String(error)));
    }
  }

  #ended(slot: Slot, reason: string): void {
    this.#slots.delete(slot);
    if (this.#slots.size === 0) this.#stopPoll();
    slot.markEnded();
    if (this.#isClosed) return;
    // Starting it again would only fail again.
    if (!slot.process.isReady && !slot.isEnding && this.#slots.size === 0)
      return this.#refuseWaiting(cannotStart(reason));
    this.#dispatch();
  }

  #end(slot: Slot, reason: Error = overloaded()): void {
    slot.isEnding = true;
    slot.process.kill(reason);
  }

  /** Polls often while calls are running, because they may allocate memory at any time. */
  #startPoll(): void {
    if (this.#isPollingOften) return;
    this.#stopPoll();
    this.#isPollingOften = true;
    this.#pollTimer = this.#options.platform.every(POLL_MS, () => this.#poll()).unref();
  }

  #stopPoll(): void {
    this.#pollTimer?.cancel();
    this.#pollTimer = null;
    this.#isPollingOften = false;
  }

  #poll(): void {
    const now = this.#options.platform.monotonic();
    let isAnyAtWork = false;
    for (const slot of this.#slots) {
      if (slot.name === null) {
        if (slot.process.isReady && now - slot.since > IDLE_MS) this.#end(slot);
        continue;
      }
      isAnyAtWork = true;
      this.#checkCall(slot, slot.name, now);
    }
    if (isAnyAtWork || !this.#isPollingOften) return;
    this.#stopPoll();
    this.#pollTimer = this.#options.platform.every(IDLE_MS, () => this.#poll()).unref();
  }

  #checkCall(slot: Slot, name: string, now: number): void {
    const { memoryBytes } = this.#options;
    slot.memoryBytes = slot.process.memoryBytes;
    if (slot.memoryBytes > memoryBytes) this.#end(slot, tookTooMuchMemory(name, memoryBytes));
    if (slot.isOld || now - slot.since <= LONG_CALL_MS) return;
    slot.process.lowerPriority();
    // An unprivileged process can't raise its priority again, so it is replaced after this call.
    slot.isOld = true;
  }

  #refuseWaiting(reason: Error): void {
    for (;;) {
      const turn = this.#queue.take(() => true);
      if (turn === undefined) return;
      turn.reject(reason);
    }
  }
}

/** A call that waits for a process. */
interface Turn {
  readonly name: string;
  readonly grant: (slot: Slot) => void;
  readonly reject: (error: Error) => void;
}

/** A process of the pool. */
class Slot {
  readonly process: IsolateProcess;
  readonly ended: Promise<void>;
  /** The function whose call uses it; null if it is free. */
  name: string | null = null;
  /** The start of that call, or the end of the last one, in milliseconds of the monotonic clock. */
  since = 0;
  isEnding = false;
  /** Whether it is replaced after this call. */
  isOld = false;
  /** The memory at the last check, in bytes. */
  memoryBytes = 0;
  markEnded: () => void = () => undefined;

  constructor(...given: ConstructorParameters<typeof IsolateProcess>) {
    this.ended = new Promise((resolve) => {
      this.markEnded = resolve;
    });
    this.process = new IsolateProcess(...given);
  }

  get isUsable(): boolean {
    return !this.isEnding && !this.isOld;
  }

  get isFree(): boolean {
    return this.isUsable && this.process.isReady && this.name === null;
  }
}

function overloaded(): PylonError {
  return new PylonError("OVERLOADED", "The server has too many isolated calls.", {
    hint: "Try again in a few seconds.",
    extra: { retry_after_secs: 1 },
  });
}

/** This is a failure, not a rejection, so it must be logged. */
function cannotStart(reason: string): Error {
  return new Error(`A process that runs functions can't be started: ${reason}`);
}

function tookTooMuchMemory(name: string, memoryBytes: number): PylonError {
  const limit = Math.round(memoryBytes / 1024 / 1024);
  return new PylonError("HANDLER_CRASH", `"${name}" took more than ${limit} MiB of memory.`, {
    hint: "A mutation was rolled back. Read less at once, or raise PYLON_FUNCTION_MEMORY_MB.",
  });
}
