import { PylonError } from "@pylonsync/protocol";
import type { Platform } from "../platform.ts";
import { TimeoutQueue, type Timed } from "../util/timeout-queue.ts";

/** Starts the deadlines of calls: those that are equally long share a timer. */
export class Deadlines {
  readonly #platform: Pick<Platform, "after" | "monotonic">;
  readonly #queues = new Map<number, TimeoutQueue>();

  constructor(platform: Pick<Platform, "after" | "monotonic">) {
    this.#platform = platform;
  }

  /**
   * A call begins; clear its deadline once it has ended.
   *
   * @param timeoutMs how long it may run, in milliseconds
   * @param outer aborts when the client is gone
   */
  start(name: string, timeoutMs: number, outer: AbortSignal | undefined): Deadline {
    const dueAt = this.#platform.monotonic() + timeoutMs;
    return new Deadline({ name, timeoutMs, dueAt }, outer, this.#queueOf(timeoutMs));
  }

  #queueOf(timeoutMs: number): TimeoutQueue {
    const known = this.#queues.get(timeoutMs);
    if (known !== undefined) return known;
    // A job may name any length, so those that are not used are forgotten.
    const made = new TimeoutQueue(timeoutMs, this.#platform, () => {
      this.#queues.delete(timeoutMs);
    });
    this.#queues.set(timeoutMs, made);
    return made;
  }
}

/** Whose time is up when. */
interface CallTime {
  readonly name: string;
  readonly timeoutMs: number;
  readonly dueAt: number;
}

/**
 * Ends a call when its time is up or its client is gone. Its signal and its reason are made when
 * somebody asks for them, which most calls do not: together they cost more than a small handler.
 */
export class Deadline implements Timed {
  readonly dueAt: number;
  readonly #call: CallTime;
  readonly #outer: AbortSignal | undefined;
  readonly #queue: TimeoutQueue;
  #onOuter: (() => void) | undefined;
  #controller: AbortController | undefined;
  #ended: { readonly reason: unknown } | undefined;
  #rejectRace: ((reason: unknown) => void) | undefined;

  constructor(call: CallTime, outer: AbortSignal | undefined, queue: TimeoutQueue) {
    this.dueAt = call.dueAt;
    this.#call = call;
    this.#outer = outer;
    this.#queue = queue;
    queue.add(this);
    if (outer !== undefined) this.#follow(outer);
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#ended !== undefined) this.#controller.abort(this.#ended.reason);
    }
    return this.#controller.signal;
  }

  /**
   * @param work a promise, or what it came to at once
   * @returns what the work comes to; once
   * @throws the signal's reason when it is over
   */
  async race<T>(work: T | Promise<T>): Promise<T> {
    if (this.#ended !== undefined) {
      if (work instanceof Promise) work.catch(() => undefined);
      throw this.#ended.reason;
    }
    if (!(work instanceof Promise)) return work;
    return new Promise((resolve, reject) => {
      this.#rejectRace = reject;
      work.then(resolve, reject);
    });
  }

  /** The call has ended. */
  clear(): void {
    this.#queue.delete(this);
    if (this.#onOuter !== undefined) this.#outer?.removeEventListener("abort", this.#onOuter);
  }

  expire(): void {
    const { name, timeoutMs } = this.#call;
    this.#end(
      new PylonError("FN_TIMEOUT", `"${name}" took longer than ${timeoutMs / 1000} s.`, {
        hint: "A mutation was rolled back. Split the work, or raise PYLON_FN_CALL_TIMEOUT.",
      }),
    );
  }

  #follow(outer: AbortSignal): void {
    this.#onOuter = (): void => this.#end(outer.reason);
    if (outer.aborted) this.#onOuter();
    else outer.addEventListener("abort", this.#onOuter, { once: true });
  }

  #end(reason: unknown): void {
    this.#ended ??= { reason };
    this.#controller?.abort(reason);
    this.#rejectRace?.(reason);
  }
}
