/**
 * The recent past of a shard, used to evaluate an input against what its player saw (lag
 * compensation).
 */
export interface HistoryRules<State, Past> {
  /** How far back a player's view may lie, in milliseconds, from 1 to 1000. */
  readonly ms: number;
  /** Returns what to remember of the state after each step, such as positions: plain JSON data. */
  keep(state: State): Past;
}

/** A moment between two steps of the past, as `interpolate` shows them to a client. */
export interface PastMoment<Past> {
  readonly from: Past;
  readonly to: Past;
  /** The position between the first and the second: 0 to 1. */
  readonly share: number;
  /** The step, with its fraction. */
  readonly tick: number;
}

const MAX_HISTORY_MS = 1000;

/** @throws TypeError that names the invalid option of `history` */
export function checkHistory({ history, tickRate }: Readonly<Record<string, unknown>>): void {
  if (history === undefined) return;
  if (typeof history !== "object" || history === null || tickRate === 0)
    throw new TypeError("history must be an object of options, and requires a tickRate above 0.");
  const rules: Readonly<Record<string, unknown>> = { ...history };
  const unknown = Object.keys(rules).find((name) => name !== "ms" && name !== "keep");
  if (unknown !== undefined)
    throw new TypeError(`history has no option "${unknown}": use ms, keep.`);
  const { ms, keep } = rules;
  if (typeof ms !== "number" || !(ms >= 1 && ms <= MAX_HISTORY_MS))
    throw new TypeError(`history.ms must be a number from 1 to ${MAX_HISTORY_MS}.`);
  if (typeof keep !== "function")
    throw new TypeError("history.keep must be a function that returns the data to remember.");
}
