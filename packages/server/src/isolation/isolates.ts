import { MAX_WAITING_ISOLATED_CALLS, PylonError } from "@pylonsync/protocol";
import type { Isolate, IsolatedRun } from "../functions/isolation.ts";
import type { EncodedResult } from "../functions/encode-result.ts";
import type { Platform, Timer } from "../platform.ts";
import type { Cancellation } from "../util/cancellation.ts";
import { FairQueue } from "../util/fair-queue.ts";
import { IsolateProcess, WithdrawnRun } from "./isolate-process.ts";
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
/** The maximum number of calls that a process is given ahead of time. */
const MAX_AHEAD = 15;
/** A process whose last call took longer than this gets no calls ahead, in milliseconds. */
const QUICK_MS = 2;
/** A process that uses more than this share of its memory limit between calls is replaced. */
const MAX_IDLE_SHARE = 0.75;

/** The app and the limits of the processes. */
export interface IsolatesOptions {
  /** Returns the current app; null if its functions were not loaded from files. */
  readonly app: () => Pick<LoadMessage, "root" | "functionsDir"> | null;
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
 *
 * While only calls of one quick function wait, its processes are given some of them ahead of time,
 * so that a process need not wait for the server between two calls. If a call turns out to take
 * long, those behind it are withdrawn, and run in other processes.
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
  async enter(
    name: string,
    requestId: string,
    signal: Cancellation,
    mayWaitInProcess: boolean,
  ): Promise<Isolate> {
    if (this.#queue.size >= MAX_WAITING_ISOLATED_CALLS) throw overloaded();
    const lease = new Lease({ name, requestId, signal, mayWaitInProcess }, this);
    await this.acquire(lease);
    return lease;
  }

  /** Waits for a process. @param isFirst whether the call has waited before */
  acquire(lease: Lease, isFirst = false): Promise<void> {
    const { name, signal } = lease.call;
    return new Promise((grant, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (this.#isClosed) return reject(overloaded());
      const onAbort = (): void => {
        if (this.#queue.remove(name, turn)) reject(signal.reason);
      };
      const settle = (): void => signal.removeEventListener("abort", onAbort);
      const turn: Turn = {
        lease,
        grant: () => {
          settle();
          grant();
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      if (isFirst) this.#queue.addFirst(name, turn);
      else this.#queue.add(name, turn);
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
    if (this.#queue.callers === 1) this.#grantAhead();
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

  /** Gives waiting calls to processes of their function, if that may not use more processes. */
  #grantAhead(): void {
    const now = this.#options.platform.monotonic();
    for (;;) {
      const [slot] = [...this.#slots]
        .filter((candidate) => candidate.takesAhead(now))
        .toSorted((one, other) => one.leases.size - other.leases.size);
      if (slot === undefined) return;
      const turn = this.#queue.take((name) => name === slot.name && !this.#mayStart(name));
      if (turn === undefined) return;
      this.#grant(slot, turn);
    }
  }

  #grant(slot: Slot, { lease, grant }: Turn): void {
    const { name } = lease.call;
    if (slot.leases.size === 0) slot.begin(name, this.#options.platform.monotonic());
    slot.leases.add(lease);
    lease.slot = slot;
    this.#startPoll();
    grant();
  }

  /** Called when the run of a call was withdrawn from its process. */
  withdrawn(lease: Lease): void {
    const { slot } = lease;
    if (slot === null) return;
    lease.slot = null;
    slot.leases.delete(lease);
    slot.lastMs = Infinity;
    this.#freeIfUnused(slot);
  }

  /** Called when a call has ended. */
  release(lease: Lease): void {
    const { slot } = lease;
    if (slot === null) return;
    if (slot.process.isBusyWith(lease)) {
      // It was aborted. If it has not started, it is withdrawn, with all others that have not.
      slot.process.withdraw();
      if (!slot.process.isBusyWith(lease)) return this.withdrawn(lease);
      this.#endSoon(slot);
    }
    lease.slot = null;
    slot.leases.delete(lease);
    slot.end(this.#options.platform.monotonic());
    const isLarge = slot.memoryBytes > this.#options.memoryBytes * MAX_IDLE_SHARE;
    if (isLarge || slot.process.isWornOut) slot.isOld = true;
    this.#freeIfUnused(slot);
  }

  #freeIfUnused(slot: Slot): void {
    if (slot.leases.size === 0 && !slot.isEnding) {
      slot.name = null;
      if (slot.isOld) this.#end(slot);
    }
    this.#dispatch();
  }

  /** Its handler was aborted, so the result of its remaining work is not needed. */
  #endSoon(slot: Slot): void {
    const timer = this.#options.platform.after(GRACE_MS, () => this.#end(slot)).unref();
    slot.isEnding = true;
    void slot.ended.then(() => timer.cancel());
  }

  #addProcess(): void {
    const { app, dev, env, platform } = this.#options;
    const source = app();
    if (source === null) return;
    try {
      this.#socket ??= new IsolateSocket(platform);
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
    if (slot.leases.size > 1 && now - slot.since > POLL_MS) slot.process.withdraw();
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

/** A call that needs a process. */
interface IsolatedCall {
  readonly name: string;
  readonly requestId: string;
  readonly signal: Cancellation;
  /** Whether it may wait in a process behind another call: it holds nothing that others need. */
  readonly mayWaitInProcess: boolean;
}

/** A call that waits for a process. */
interface Turn {
  readonly lease: Lease;
  readonly grant: () => void;
  readonly reject: (error: Error) => void;
}

/** A call that has a process. */
class Lease implements Isolate {
  readonly call: IsolatedCall;
  readonly #isolates: Isolates;
  /** Null while it waits, and after its end. */
  slot: Slot | null = null;
  /** The number of its runs that have not ended. */
  #running = 0;

  constructor(call: IsolatedCall, isolates: Isolates) {
    this.call = call;
    this.#isolates = isolates;
  }

  async run(run: IsolatedRun): Promise<EncodedResult> {
    const isNested = this.#running > 0;
    this.#running += 1;
    try {
      return await this.#runOnce(run, isNested);
    } finally {
      this.#running -= 1;
    }
  }

  async #runOnce(run: IsolatedRun, isNested: boolean): Promise<EncodedResult> {
    for (;;) {
      if (this.slot === null)
        throw new Error("A function was run after its caller had ended: await every call.");
      try {
        return await this.slot.process.run(run, this.call.requestId, this, isNested);
      } catch (error) {
        if (!(error instanceof WithdrawnRun)) throw error;
        this.#isolates.withdrawn(this);
        await this.#isolates.acquire(this, true);
      }
    }
  }

  release(): void {
    this.#isolates.release(this);
  }
}

/** A process of the pool. */
class Slot {
  readonly process: IsolateProcess;
  readonly ended: Promise<void>;
  /** The function whose calls use it; null if it is free. */
  name: string | null = null;
  /** The current call, and those that were given to it ahead of time. */
  readonly leases = new Set<Lease>();
  /** The start of the current call, or the end of the last one, by the monotonic clock. */
  since = 0;
  /** The function of the last call. */
  #lastName: string | null = null;
  /** The duration of the last call, in milliseconds. */
  lastMs = Infinity;
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

  /** Called when it is given a call while it is free. @param now by the monotonic clock */
  begin(name: string, now: number): void {
    if (name !== this.#lastName) this.lastMs = Infinity;
    this.#lastName = name;
    this.name = name;
    this.since = now;
  }

  /** Called when a call has ended. @param now by the monotonic clock */
  end(now: number): void {
    this.lastMs = now - this.since;
    this.since = now;
  }

  /** Whether it may be given another call, which starts when the current one ends. */
  takesAhead(now: number): boolean {
    const [current] = this.leases;
    return (
      this.isUsable &&
      current?.call.mayWaitInProcess === true &&
      this.leases.size <= MAX_AHEAD &&
      this.lastMs < QUICK_MS &&
      now - this.since < POLL_MS
    );
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
