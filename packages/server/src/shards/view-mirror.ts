import { MAX_SHARD_DEPTH, type ShardDelta, type SlotChange } from "@pylonsync/protocol";
import { ViewShape } from "./view-shape.ts";

/** Objects without a prototype, so that `__proto__` is a key like any other. */
interface Mirrored {
  [key: string]: unknown;
}

/** What changed: scalars in the place of scalars, or more than that. */
export type ViewChange = { readonly slots: readonly SlotChange[] } | { readonly delta: ShardDelta };

/**
 * What clients have of a view: a copy, because the shard changes its state in place. Each value is
 * as JSON would say it.
 */
export class ViewMirror {
  #value: unknown = null;
  #hasValue = false;
  /** Of the value, from a step on that left it as it was. */
  #shape: ViewShape | null = null;
  readonly #isNumbered: boolean;

  /** @param options isNumbered: whether scalars that change alone are told as such */
  constructor({ isNumbered = true }: { readonly isNumbered?: boolean } = {}) {
    this.#isNumbered = isNumbered;
  }

  /** What the clients have; to be read before the next `update`. */
  get value(): unknown {
    return this.#value;
  }

  /**
   * Takes the view as it is now.
   *
   * @returns what changed, to be read before the next `update`; null for nothing
   * @throws TypeError for what JSON can't say, such as a BigInt, and for too deep a nesting
   */
  update(view: unknown): ViewChange | null {
    const slots = this.#shape?.changesTo(view) ?? null;
    if (slots !== null) {
      this.#shape?.apply(slots);
      return slots.length === 0 ? null : { slots };
    }
    this.#shape = null;
    const delta = this.#hasValue ? changeOf(this.#value, view, 0) : ([copyOf(view, 0)] as const);
    this.#hasValue = true;
    if (delta !== null && isWhole(delta)) this.#value = delta[0];
    // A view whose parts come and go in each step is not numbered for nothing.
    if (this.#isNumbered && (delta === null || keepsShape(delta, this.#value)))
      this.#shape = ViewShape.of(this.#value);
    return delta === null ? null : { delta };
  }
}

function isWhole(delta: ShardDelta): delta is readonly [unknown] {
  return Array.isArray(delta);
}

/** Whether scalars alone are in it, as far as it says. */
function keepsShape(delta: ShardDelta, value: unknown): boolean {
  if (isWhole(delta)) return typeof value !== "object" || value === null;
  if (delta.r !== undefined || delta.n !== undefined) return false;
  return Object.entries(delta.s ?? {}).every(([key, change]) =>
    keepsShape(change, Reflect.get(Object(value), key)),
  );
}

/** Changes containers of `old` in place; a new value for `old` itself is the caller's to set. */
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

/** A value as JSON takes it: dates are texts, numbers that are not finite are null. */
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
