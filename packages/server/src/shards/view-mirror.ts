import { MAX_SHARD_DEPTH, type ShardDelta, type SlotFrames } from "@pylonsync/protocol";
import { ViewShape } from "./view-shape.ts";

/** An object without a prototype, so that `__proto__` is an ordinary key. */
interface Mirrored {
  [key: string]: unknown;
}

/** The changes of a view: those of scalars, which were written as frames, or a delta. */
export type ViewChange = "frames" | { readonly delta: ShardDelta };

/**
 * The clients' version of a view. It is a copy, because the shard modifies its state in place, and
 * contains the values that JSON would contain.
 */
export class ViewMirror {
  #value: unknown = null;
  #hasValue = false;
  /** The shape of the value, once an update has kept it. Its scalars are newer than the value. */
  #shape: ViewShape | null = null;
  readonly #frames: SlotFrames | null;

  /** @param frames receives the changes of updates that only replace scalars; null: none does */
  constructor(frames: SlotFrames | null) {
    this.#frames = frames;
  }

  /** The clients' version; valid until the next `update`. */
  get value(): unknown {
    this.#shape?.flush();
    return this.#value;
  }

  /**
   * Updates the view.
   *
   * @returns the changes, valid until the next `update`; null if there are none
   * @throws TypeError for values that JSON can't represent, such as a BigInt, and for too deep
   *   nesting
   */
  update(view: unknown): ViewChange | null {
    const shape = this.#shape;
    if (shape?.update(view) === true) return shape.changes === 0 ? null : "frames";
    shape?.flush();
    this.#shape = null;
    const delta = this.#hasValue ? changeOf(this.#value, view, 0) : ([copyOf(view, 0)] as const);
    this.#hasValue = true;
    if (delta !== null && isWhole(delta)) this.#value = delta[0];
    // Numbering is only worthwhile if the shape is kept from step to step.
    if (this.#frames !== null && (delta === null || keepsShape(delta, this.#value)))
      this.#shape = ViewShape.of(this.#value, this.#frames);
    if (delta !== null) return { delta };
    // The frames of the update before are lost if the shape began others: a view with a getter can
    // have a change there and none here.
    return shape === null || shape.changes === 0 ? null : { delta: {} };
  }
}

function isWhole(delta: ShardDelta): delta is readonly [unknown] {
  return Array.isArray(delta);
}

/** Whether a delta only replaces scalars. */
function keepsShape(delta: ShardDelta, value: unknown): boolean {
  if (isWhole(delta)) return typeof value !== "object" || value === null;
  if (delta.r !== undefined || delta.n !== undefined) return false;
  return Object.entries(delta.s ?? {}).every(([key, change]) =>
    keepsShape(change, Reflect.get(Object(value), key)),
  );
}

/** Modifies containers of `old` in place; the caller replaces `old` itself if needed. */
function changeOf(old: unknown, given: unknown, depth: number): ShardDelta | null {
  const next = plainOf(given);
  if (Array.isArray(next))
    return Array.isArray(old) ? arrayChange(old, next, depth) : [copyOf(next, depth)];
  if (isObject(next))
    return isObject(old) && !Array.isArray(old)
      ? objectChange(old, next, depth)
      : [copyOf(next, depth)];
  return old === next ? null : [next];
}

function objectChange(old: Mirrored, next: Mirrored, depth: number): ShardDelta | null {
  checkDepth(depth);
  const set: Record<string, ShardDelta> = Object.create(null);
  let changes = 0;
  let kept = 0;
  for (const key of Object.keys(next)) {
    const value = next[key];
    if (isAbsent(value)) continue;
    kept += 1;
    const isNew = !(key in old);
    const delta = isNew
      ? ([copyOf(value, depth + 1)] as const)
      : changeOf(old[key], value, depth + 1);
    if (delta === null) continue;
    changes += 1;
    set[key] = delta;
    if (isWhole(delta)) old[key] = delta[0];
  }
  const removed =
    Object.keys(old).length === kept
      ? []
      : Object.keys(old).filter((key) => !Object.hasOwn(next, key) || isAbsent(next[key]));
  for (const key of removed) delete old[key];
  if (changes === 0 && removed.length === 0) return null;
  return { ...(changes === 0 ? {} : { s: set }), ...(removed.length === 0 ? {} : { r: removed }) };
}

function arrayChange(old: unknown[], next: readonly unknown[], depth: number): ShardDelta | null {
  checkDepth(depth);
  const set: Record<string, ShardDelta> = {};
  let changes = 0;
  const before = old.length;
  for (let index = 0; index < next.length; index += 1) {
    const value = isAbsent(next[index]) ? null : next[index];
    const delta =
      index >= before
        ? ([copyOf(value, depth + 1)] as const)
        : changeOf(old[index], value, depth + 1);
    if (delta === null) continue;
    changes += 1;
    set[index] = delta;
    if (isWhole(delta)) old[index] = delta[0];
  }
  old.length = next.length;
  if (changes === 0 && before === next.length) return null;
  return {
    ...(changes === 0 ? {} : { s: set }),
    ...(before === next.length ? {} : { n: next.length }),
  };
}

function copyOf(given: unknown, depth: number): unknown {
  const value = plainOf(given);
  if (Array.isArray(value)) {
    checkDepth(depth);
    return value.map((item: unknown) => (isAbsent(item) ? null : copyOf(item, depth + 1)));
  }
  if (!isObject(value)) return value;
  checkDepth(depth);
  const copy: Mirrored = Object.create(null);
  for (const key of Object.keys(value))
    if (!isAbsent(value[key])) copy[key] = copyOf(value[key], depth + 1);
  return copy;
}

/** Returns a value as JSON represents it: dates as strings, numbers that are not finite as null. */
function plainOf(value: unknown): unknown {
  if (typeof value === "number") return Number.isFinite(value) ? value + 0 : null;
  if (typeof value === "bigint") throw new TypeError("A view can't contain a BigInt.");
  if (isAbsent(value)) return null;
  if (value instanceof Date) return value.toJSON();
  return value;
}

function isAbsent(value: unknown): boolean {
  return value === undefined || typeof value === "function" || typeof value === "symbol";
}

function isObject(value: unknown): value is Mirrored {
  return typeof value === "object" && value !== null;
}

function checkDepth(depth: number): void {
  if (depth >= MAX_SHARD_DEPTH)
    throw new TypeError(`A view is nested deeper than ${MAX_SHARD_DEPTH} levels.`);
}
