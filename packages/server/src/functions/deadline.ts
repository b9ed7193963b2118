import { PylonError } from "@pylonsync/protocol";
import type { Platform } from "../platform.ts";
import { untilAborted } from "../store/until-aborted.ts";
import type { Cancellation } from "../util/cancellation.ts";
import { TimeoutQueue, type Timed } from "../util/timeout-queue.ts";

/** Starts the deadlines of calls. Deadlines of the same length share a timer. */
export class Deadlines {
  readonly #platform: Pick<Platform, "after" | "monotonic">;
  readonly #queues = new Map<number, TimeoutQueue>();

  constructor(platform: Pick<Platform, "after" | "monotonic">) {
    this.#platform = platform;
  }

  /**
   * Starts the deadline of a call. Clear it when the call has ended.
   *
   * @param timeoutMs the longest duration of the call, in milliseconds
   * @param outer aborts when the client has disconnected
   */
  start(name: string, timeoutMs: number, outer: AbortSignal | undefined): Deadline {
    const dueAt = this.#platform.monotonic() + timeoutMs;
    return new Deadline(name, timeoutMs, dueAt, outer, this.#queueOf(timeoutMs));
  }

  #queueOf(timeoutMs: number): TimeoutQueue {
    const known = this.#queues.get(timeoutMs);
    if (known !== undefined) return known;
    // A job can specify any timeout, so queues that are no longer used are deleted.
    const made = new TimeoutQueue(timeoutMs, this.#platform, () => {
      this.#queues.delete(timeoutMs);
    });
    this.#queues.set(timeoutMs, made);
    return made;
  }
}

/**
 * Ends a call when its time is up or its client has disconnected. Its AbortSignal is created on
 * first access, and most calls need none: it costs more than a small handler.
 */
export class Deadline implements Timed, Cancellation {
  readonly dueAt: number;
  readonly #name: string;
  readonly #timeoutMs: number;
  readonly #outer: AbortSignal | undefined;
  readonly #queue: TimeoutQueue;
  #onOuter: (() => void) | undefined;
  #controller: AbortController | undefined;
  #ended: { readonly reason: unknown } | undefined;
  #listeners: Set<() => void> | undefined;

  constructor(
    name: string,
    timeoutMs: number,
    dueAt: number,
    outer: AbortSignal | undefined,
    queue: TimeoutQueue,
  ) {
    this.dueAt = dueAt;
    this.#name = name;
    this.#timeoutMs = timeoutMs;
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

  get aborted(): boolean {
    return this.#ended !== undefined;
  }

  get reason(): unknown {
    return this.#ended?.reason;
  }

  throwIfAborted(): void {
    if (this.#ended !== undefined) throw this.#ended.reason;
  }

  /** Adds a listener that is called once, when the call is ended. */
  addEventListener(_type: "abort", listener: () => void): void {
    if (this.#ended === undefined) (this.#listeners ??= new Set()).add(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners?.delete(listener);
  }

  /**
   * Waits for the work, or for the end of the call if that comes first.
   *
   * @param work the result, or a promise of it
   * @returns what the work returns
   * @throws the reason, if the call was ended before
   */
  race<T>(work: T | Promise<T>): T | Promise<T> {
    if (this.#ended !== undefined) {
      if (work instanceof Promise) work.catch(() => undefined);
      throw this.#ended.reason;
    }
    return work instanceof Promise ? untilAborted(work, this) : work;
  }

  /** Clears the deadline: the call has ended. */
  clear(): void {
    this.#queue.delete(this);
    if (this.#onOuter !== undefined) this.#outer?.removeEventListener("abort", this.#onOuter);
  }

  expire(): void {
    const seconds = this.#timeoutMs / 1000;
    this.#end(
      new PylonError("FN_TIMEOUT", `"${this.#name}" took longer than ${seconds} s.`, {
        hint: "A mutation was rolled back. Split the work, or raise PYLON_FN_CALL_TIMEOUT.",
      }),
    );
  }

  #follow(outer: AbortSignal): void {
    this.#onOuter = (): void => this.#end(reasonOf(outer));
    if (outer.aborted) this.#onOuter();
    else outer.addEventListener("abort", this.#onOuter, { once: true });
  }

  #end(reason: unknown): void {
    if (this.#ended !== undefined) return;
    this.#ended = { reason };
    this.#controller?.abort(reason);
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) listener();
  }
}

/**
 * The runtime's own reason for a request whose client has disconnected would look like a failure of
 * the function.
 */
function reasonOf({ reason }: AbortSignal): unknown {
  return reason instanceof DOMException
    ? new PylonError("INVALID_DATA", "The client disconnected.")
    : reason;
}
