import { slotKeys, type SlotChanges } from "@pylonsync/protocol";
import { isRecord } from "../util/is-record.ts";

/** A part of a view: the number of a scalar, or a container. */
type Part = number | ContainerShape;

interface ContainerShape {
  /** The keys of an object; null for an array. */
  readonly keys: readonly string[] | null;
  readonly parts: readonly Part[];
}

/** A container of the mirror: an object, or an array with its indices as keys. */
type Container = Record<string, unknown>;

/** The scalars of a view by number, in parallel lists, because each step compares all of them. */
interface Places {
  readonly containers: Container[];
  readonly keys: string[];
  readonly values: unknown[];
}

/** The changes of one step, whose lists the next step overwrites. */
class ReusedChanges implements SlotChanges {
  count = 0;
  readonly slots: number[] = [];
  readonly before: unknown[] = [];
  readonly after: unknown[] = [];

  add(slot: number, before: unknown, after: unknown): void {
    this.slots[this.count] = slot;
    this.before[this.count] = before;
    this.after[this.count] = after;
    this.count += 1;
  }
}

/** Has a special meaning on ordinary objects. */
const UNSAFE_KEY = "__proto__";

/**
 * The shape of a view, for steps that keep it: a new view is compared with the old scalars in one
 * pass, which only allocates objects for changes.
 */
export class ViewShape {
  readonly #root: ContainerShape;
  readonly #places: Places;
  readonly #changes = new ReusedChanges();

  private constructor(root: ContainerShape, places: Places) {
    this.#root = root;
    this.#places = places;
  }

  /** @param view a copy, which `apply` modifies. @returns null if the view can't be numbered */
  static of(view: unknown): ViewShape | null {
    if (!isContainer(view)) return null;
    const places: Places = { containers: [], keys: [], values: [] };
    const root = shapeOf(view, places);
    return root === null ? null : new ViewShape(root, places);
  }

  /** @returns the changes, valid until the next call; null for a view of another shape */
  changesTo(view: unknown): SlotChanges | null {
    this.#changes.count = 0;
    return this.#compare(this.#root, view) ? this.#changes : null;
  }

  /** Applies changes to the copy from which the shape was created. */
  apply({ count, slots, after }: SlotChanges): void {
    const { containers, keys, values } = this.#places;
    for (let index = 0; index < count; index += 1) {
      const slot = slots[index] ?? 0;
      const container = containers[slot];
      const key = keys[slot];
      if (container === undefined || key === undefined) continue;
      values[slot] = after[index];
      container[key] = after[index];
    }
  }

  #compare({ keys, parts }: ContainerShape, next: unknown): boolean {
    if (typeof next !== "object" || next === null) return false;
    if (keys === null) {
      if (!Array.isArray(next) || next.length !== parts.length) return false;
      for (let index = 0; index < parts.length; index += 1)
        if (!this.#comparePart(parts[index] ?? 0, next[index])) return false;
      return true;
    }
    if (!isRecord(next) || Object.keys(next).length !== keys.length) return false;
    for (let index = 0; index < keys.length; index += 1)
      if (!this.#comparePart(parts[index] ?? 0, next[keys[index] ?? ""])) return false;
    return true;
  }

  #comparePart(part: Part, value: unknown): boolean {
    if (typeof part !== "number") return this.#compare(part, value);
    const before = this.#places.values[part];
    if (value === before) return true;
    const after = typeof value === "number" ? numberOf(value) : value;
    if (!isScalar(after)) return false;
    if (after !== before) this.#changes.add(part, before, after);
    return true;
  }
}

/** Returns a number as JSON represents it. */
function numberOf(value: number): number | null {
  return Number.isFinite(value) ? value + 0 : null;
}

/** Whether the value is a scalar of JSON. */
function isScalar(value: unknown): boolean {
  return (
    value === null ||
    typeof value === "number" ||
    typeof value === "string" ||
    typeof value === "boolean"
  );
}

function isContainer(value: unknown): value is Container {
  return typeof value === "object" && value !== null;
}

/** Numbers the scalars in the same order as `slotPaths`. */
function shapeOf(container: Container, places: Places): ContainerShape | null {
  const keys = slotKeys(container);
  const parts: Part[] = [];
  for (const key of keys) {
    if (key === UNSAFE_KEY) return null;
    const value = container[key];
    if (isContainer(value)) {
      const part = shapeOf(value, places);
      if (part === null) return null;
      parts.push(part);
      continue;
    }
    places.containers.push(container);
    places.keys.push(key);
    parts.push(places.values.push(value) - 1);
  }
  return { keys: Array.isArray(container) ? null : keys, parts };
}
