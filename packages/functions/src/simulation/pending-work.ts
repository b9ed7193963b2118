import { MAX_SHARD_CALL_BYTES, MAX_SHARD_CALLS, MAX_SHARD_TIMERS } from "@pylonsync/protocol";
import type { ShardCallOptions, ShardTimer } from "../shard-work.ts";
import { exactJson } from "./exact-json.ts";

/** The kind of a call: a function, a row by its id, or rows by a filter. */
export type ShardCallKind = "run" | "get" | "read";

/** A call to make after a step. */
export interface RequestedCall {
  readonly call: number;
  readonly kind: ShardCallKind;
  /** The name of the function or of the entity. */
  readonly name: string;
  /** The player on whose behalf it is made; null: as the server. */
  readonly as: string | null;
  /** JSON of the arguments, of the row's id, or of the filter. */
  readonly args: string;
}

/** A call whose result has not arrived. */
export interface PendingCall {
  readonly kind: ShardCallKind;
  readonly name: string;
  /** JSON of the data that the result carries. */
  readonly data: string;
}

interface PendingTimer {
  readonly timer: number;
  /** The step in which it is due. */
  readonly dueAt: number;
  readonly name: string;
  /** JSON. */
  readonly data: string;
}

/** Pending work in its saved form. */
export interface SavedPending {
  /** The number of the next call or timer. */
  readonly next: number;
  readonly calls: readonly (readonly [
    call: number,
    kind: ShardCallKind,
    name: string,
    data: unknown,
  ])[];
  /** In the order in which they are due. */
  readonly timers: readonly (readonly [
    timer: number,
    dueAt: number,
    name: string,
    data: unknown,
  ])[];
}

/** The calls and timers of a simulation that have not finished. It is a part of the saved state. */
export class PendingWork {
  readonly #calls = new Map<number, PendingCall>();
  /** In the order in which they are due. */
  readonly #timers: PendingTimer[] = [];
  #next: number;

  constructor({ next, calls, timers }: SavedPending = { next: 1, calls: [], timers: [] }) {
    this.#next = next;
    for (const [call, kind, name, data] of calls)
      this.#calls.set(call, { kind, name, data: exactJson(data, "data") });
    for (const [timer, dueAt, name, data] of timers)
      this.#timers.push({ timer, dueAt, name, data: exactJson(data, "data") });
  }

  /** The numbers of the calls whose results have not arrived. */
  get calls(): readonly number[] {
    return [...this.#calls.keys()];
  }

  /**
   * Adds a call.
   *
   * @throws TypeError for data that is not JSON, RangeError for too many calls or too much data
   */
  request(
    kind: ShardCallKind,
    name: string,
    given: unknown,
    { as = null, data = null }: { readonly as?: string | null; readonly data?: unknown },
  ): RequestedCall {
    if (typeof name !== "string") throw new TypeError(`step.${kind} requires a name.`);
    if (this.#calls.size >= MAX_SHARD_CALLS)
      throw new RangeError(`A shard may have at most ${MAX_SHARD_CALLS} calls in progress.`);
    const [args, dataText] = [exactJson(given, "args"), exactJson(data, "data")];
    if (args.length + dataText.length > MAX_SHARD_CALL_BYTES)
      throw new RangeError(
        `The arguments and the data of a call may have at most ${MAX_SHARD_CALL_BYTES} characters.`,
      );
    const call = this.#next++;
    this.#calls.set(call, { kind, name, data: dataText });
    return { call, kind, name, as, args };
  }

  /** Removes a call whose result has arrived. */
  takeCall(call: number): PendingCall | undefined {
    const pending = this.#calls.get(call);
    this.#calls.delete(call);
    return pending;
  }

  /**
   * Adds a timer.
   *
   * @throws TypeError for data that is not JSON, RangeError for too many timers or too much data
   */
  addTimer(dueAt: number, name: string, data: unknown = null): number {
    if (typeof name !== "string") throw new TypeError("step.after requires a name.");
    if (this.#timers.length >= MAX_SHARD_TIMERS)
      throw new RangeError(`A shard may have at most ${MAX_SHARD_TIMERS} timers.`);
    const text = exactJson(data, "data");
    if (text.length > MAX_SHARD_CALL_BYTES)
      throw new RangeError(`A timer's data may have at most ${MAX_SHARD_CALL_BYTES} characters.`);
    const timer = this.#next++;
    const last = this.#timers.findLastIndex((other) => other.dueAt <= dueAt);
    this.#timers.splice(last + 1, 0, { timer, dueAt, name, data: text });
    return timer;
  }

  /** Removes a timer. @returns whether it existed */
  cancel(timer: number): boolean {
    const index = this.#timers.findIndex((other) => other.timer === timer);
    if (index !== -1) this.#timers.splice(index, 1);
    return index !== -1;
  }

  /** Removes and returns the first timer that is due in a step; null for none. */
  takeDue(tick: number): ShardTimer | null {
    const first = this.#timers[0];
    if (first === undefined || first.dueAt > tick) return null;
    this.#timers.shift();
    return { timer: first.timer, name: first.name, data: JSON.parse(first.data) };
  }

  /** Returns the JSON of a SavedPending; null if there was never any work. */
  save(): string | null {
    if (this.#next === 1) return null;
    const calls = [...this.#calls].map(
      ([call, { kind, name, data }]) => `[${call},"${kind}",${JSON.stringify(name)},${data}]`,
    );
    const timers = this.#timers.map(
      ({ timer, dueAt, name, data }) => `[${timer},${dueAt},${JSON.stringify(name)},${data}]`,
    );
    return `{"next":${this.#next},"calls":[${calls.join(",")}],"timers":[${timers.join(",")}]}`;
  }
}

/** @throws TypeError for options that are not those of a call */
export function checkCallOptions(options: ShardCallOptions): void {
  const unknown = Object.keys(options).find((name) => name !== "as" && name !== "data");
  if (unknown !== undefined)
    throw new TypeError(`A call of a shard has no option "${unknown}": use as, data.`);
}
