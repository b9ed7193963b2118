import type { PastMoment } from "../shard-history.ts";
import { exactJson } from "./exact-json.ts";

interface Entry {
  readonly tick: number;
  readonly text: string;
  /** Frozen, because all handlers receive the same object. */
  past?: unknown;
}

/** A history in its saved form, the oldest step first. */
export type SavedHistory = readonly (readonly [tick: number, past: unknown])[];

/** Remembers the last steps of a simulation. */
export class StateHistory {
  #entries: Entry[];

  constructor(saved: SavedHistory = []) {
    this.#entries = saved.map(([tick, past]) => ({ tick, text: exactJson(past, "history") }));
  }

  /**
   * Adds a step.
   *
   * @param steps the number of steps to keep
   * @throws TypeError that names the value that can't be saved
   */
  add(tick: number, past: unknown, steps: number): void {
    this.#entries.push({ tick, text: exactJson(past, "history") });
    if (this.#entries.length > steps) this.#entries.splice(0, this.#entries.length - steps);
  }

  /**
   * Returns the moment of a tick, which may be fractional. Ticks before the oldest step return the
   * oldest step, and ticks after the newest the newest. Null if the history is empty.
   */
  at(tick: number): PastMoment<unknown> | null {
    const [oldest, newest] = [this.#entries[0], this.#entries.at(-1)];
    if (oldest === undefined || newest === undefined) return null;
    const wanted = Math.min(newest.tick, Math.max(oldest.tick, tick));
    const to = this.#entries.find((entry) => entry.tick >= wanted) ?? newest;
    const from = this.#entries.findLast((entry) => entry.tick <= wanted) ?? oldest;
    const span = to.tick - from.tick;
    const share = span === 0 ? 0 : (wanted - from.tick) / span;
    return { from: pastOf(from), to: pastOf(to), share, tick: wanted };
  }

  /** Returns the JSON of a SavedHistory. */
  save(): string {
    return `[${this.#entries.map(({ tick, text }) => `[${tick},${text}]`).join(",")}]`;
  }
}

function pastOf(entry: Entry): unknown {
  if (!("past" in entry))
    entry.past = JSON.parse(entry.text, (_key, value) => Object.freeze(value));
  return entry.past;
}
