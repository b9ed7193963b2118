import type { ShardPlayer } from "@pylonsync/functions";
import type { InterestGrid, Thing } from "./interest-grid.ts";
import { sized } from "./view-channel.ts";

/** The next changes for one connection: a part of a frame, as JSON. */
export interface InterestChanges {
  readonly kind: "snapshot" | "delta";
  readonly json: string;
}

/** The minimum priority, so that things with priority 0 are sent occasionally. */
const MIN_PRIORITY = 0.01;
/** The maximum time without any thing if other fields use all bytes, in milliseconds. */
const MAX_WAIT_MS = 1000;
/** The approximate size of the rest of a frame. */
const FRAME_BYTES = 40;
const NOTHING: ReadonlySet<Thing> = new Set();

interface Candidate {
  readonly thing: Thing;
  readonly line: string;
  /** The sum of its priorities over the steps that it has waited. */
  readonly score: number;
}

/**
 * The things that one connection has, and the version of each. Changes are sent within the byte
 * limit; the others wait, and are then sent in their current state.
 */
export class InterestView {
  readonly #known = new Map<Thing, number>();
  #scores = new Map<Thing, number>();
  /** The version of the other fields; 0: the connection has received nothing. */
  #restVersion = 0;
  /** The bytes that may be sent now; negative after a frame that exceeded them; null: no limit. */
  #bytesLeft: number | null = null;
  #refilledAt = 0;
  #lastThingAt = 0;

  /**
   * Returns the changes to send now, and marks them as sent; null if there are none.
   *
   * @param takesDeltas whether the client supports deltas
   * @param now monotonic time in milliseconds
   * @throws the error of the app's rules, before anything is marked as sent
   */
  next(
    grid: InterestGrid,
    state: unknown,
    player: ShardPlayer,
    { takesDeltas, now }: { readonly takesDeltas: boolean; readonly now: number },
  ): InterestChanges | null {
    const center = grid.rules.center(state, player);
    const near = center === null ? NOTHING : grid.near(center);
    const gone = [...this.#known.keys()].filter((thing) => thing.isGone || !near.has(thing));
    const candidates = this.#candidates(near, grid, player);
    this.#refill(grid, now);
    const isFirst = this.#restVersion === 0;
    if (!takesDeltas && !isFirst && (this.#bytesLeft ?? 1) <= 0) return null;
    const isRestNew = this.#restVersion !== grid.rest.version;
    const hasBase = this.#restVersion >= grid.rest.version - 1 && grid.rest.lines !== null;
    const isWhole = isFirst || !takesDeltas || (isRestNew && !hasBase);
    const picked = this.#pick(candidates, this.#costOf(grid, isWhole, isRestNew, gone), now);
    if (!isRestNew && gone.length === 0 && picked.length === 0) return null;
    for (const thing of gone) this.#known.delete(thing);
    for (const { thing } of picked) this.#known.set(thing, thing.version);
    this.#restVersion = grid.rest.version;
    const json = isWhole
      ? this.#snapshot(grid)
      : deltaOf(isRestNew ? grid.rest.lines : null, gone, picked);
    if (this.#bytesLeft !== null) this.#bytesLeft -= Buffer.byteLength(json) + FRAME_BYTES;
    return { kind: isWhole ? "snapshot" : "delta", json: sized(json) };
  }

  /** The size of the parts that are always sent. */
  #costOf(
    { rest }: InterestGrid,
    isWhole: boolean,
    isRestNew: boolean,
    gone: readonly Thing[],
  ): number {
    if (isWhole) {
      let sum = rest.whole.length;
      for (const thing of this.#known.keys()) sum += thing.wholeLine.length;
      return sum;
    }
    const { set = "", removed = "" } = (isRestNew ? rest.lines : null) ?? {};
    return gone.reduce((sum, { key }) => sum + key.length + 1, set.length + removed.length);
  }

  #candidates(near: ReadonlySet<Thing>, { rules }: InterestGrid, player: ShardPlayer): Candidate[] {
    const candidates: Candidate[] = [];
    for (const thing of near) {
      const version = this.#known.get(thing);
      if (version === thing.version) continue;
      const priority = rules.priority?.(thing.value, thing.id, player) ?? 1;
      const score = (this.#scores.get(thing) ?? 0) + Math.max(MIN_PRIORITY, Number(priority) || 0);
      const line = version === thing.version - 1 ? thing.deltaLine : thing.wholeLine;
      candidates.push({ thing, score, line });
    }
    return candidates;
  }

  #refill({ rules }: InterestGrid, now: number): void {
    const { bytesPerSecond } = rules;
    if (bytesPerSecond === undefined) {
      this.#bytesLeft = null;
      return;
    }
    const before = this.#bytesLeft;
    const earned = ((now - this.#refilledAt) / 1000) * bytesPerSecond;
    this.#bytesLeft = before === null ? bytesPerSecond : Math.min(bytesPerSecond, before + earned);
    this.#refilledAt = now;
    if (before === null) this.#lastThingAt = now;
  }

  /** @param taken the size of the parts that are always sent, in bytes */
  #pick(candidates: Candidate[], taken: number, now: number): readonly Candidate[] {
    if (this.#bytesLeft === null) return candidates;
    let left = this.#bytesLeft - taken;
    const all = candidates.reduce((sum, { line }) => sum + line.length + 1, 0);
    if (candidates.length === 0 || all <= left) {
      this.#scores.clear();
      this.#lastThingAt = now;
      return candidates;
    }
    candidates.sort((one, other) => other.score - one.score);
    let count = 0;
    // The last one may exceed the limit, so that large things are sent as well.
    while (count < candidates.length && left > 0) {
      left -= (candidates[count]?.line.length ?? 0) + 1;
      count += 1;
    }
    if (count === 0 && now - this.#lastThingAt >= MAX_WAIT_MS) count = 1;
    if (count > 0) this.#lastThingAt = now;
    const late = candidates.slice(count);
    this.#scores = new Map(late.map(({ thing, score }) => [thing, score]));
    return candidates.slice(0, count);
  }

  /** Returns the full view of the connection. */
  #snapshot(grid: InterestGrid): string {
    const byField = new Map<string, string[]>(grid.rules.fields.map((field) => [field, []]));
    for (const thing of this.#known.keys()) {
      this.#known.set(thing, thing.version);
      byField.get(thing.field)?.push(`${thing.key}:${thing.whole}`);
    }
    const fields = [...byField].map(
      ([field, things]) => `${JSON.stringify(field)}:{${things.join(",")}}`,
    );
    const { whole } = grid.rest;
    return `{${[...(whole === "{}" ? [] : [whole.slice(1, -1)]), ...fields].join(",")}}`;
  }
}

/** Returns the JSON of a ShardDelta of the complete view. */
function deltaOf(
  rest: { readonly set: string; readonly removed: string } | null,
  gone: readonly Thing[],
  picked: readonly Candidate[],
): string {
  const byField = new Map<string, { readonly set: string[]; readonly removed: string[] }>();
  const partOf = (field: string): { readonly set: string[]; readonly removed: string[] } => {
    const known = byField.get(field) ?? { set: [], removed: [] };
    byField.set(field, known);
    return known;
  };
  for (const { field, key } of gone) partOf(field).removed.push(key);
  for (const { thing, line } of picked) partOf(thing.field).set.push(line);
  const fields = [...byField].map(
    ([field, { set, removed }]) =>
      `${JSON.stringify(field)}:${changeOf(set.join(","), removed.join(","))}`,
  );
  const { set = "", removed = "" } = rest ?? {};
  return changeOf([...(set === "" ? [] : [set]), ...fields].join(","), removed);
}

function changeOf(set: string, removed: string): string {
  const parts = [
    ...(set === "" ? [] : [`"s":{${set}}`]),
    ...(removed === "" ? [] : [`"r":[${removed}]`]),
  ];
  return `{${parts.join(",")}}`;
}
