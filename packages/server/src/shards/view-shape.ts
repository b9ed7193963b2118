import { slotKeys, type SlotChange } from "@pylonsync/protocol";
import { isRecord } from "../util/is-record.ts";

/** What is in a view at one place: a scalar by its number, or a container. */
type Part = number | ContainerShape;

interface ContainerShape {
  /** Null for an array. */
  readonly keys: readonly string[] | null;
  readonly parts: readonly Part[];
}

/** A container that we made: an object, or an array, whose keys are its indices. */
type Container = Record<string, unknown>;

/** The scalars of a view by their numbers: lists beside each other, because all are compared. */
interface Places {
  readonly containers: Container[];
  readonly keys: string[];
  readonly values: unknown[];
}

/** Has another meaning on objects that are not made by us. */
const UNSAFE_KEY = "__proto__";

/**
 * The shape of a view, for steps that leave it as it is: a new view is compared with the scalars of
 * the old one in one pass, which makes no objects but for what changed.
 */
export class ViewShape {
  readonly #root: ContainerShape;
  readonly #places: Places;

  private constructor(root: ContainerShape, places: Places) {
    this.#root = root;
    this.#places = places;
  }

  /** @param view a copy of our own, which `apply` changes. @returns null where it has none */
  static of(view: unknown): ViewShape | null {
    if (!isContainer(view)) return null;
    const places: Places = { containers: [], keys: [], values: [] };
    const root = shapeOf(view, places);
    return root === null ? null : new ViewShape(root, places);
  }

  /** @returns what changed; null for a view of another shape */
  changesTo(view: unknown): SlotChange[] | null {
    const changes: SlotChange[] = [];
    return this.#compare(this.#root, view, changes) ? changes : null;
  }

  /** Makes the changes in the copy that the shape was made of. */
  apply(changes: readonly SlotChange[]): void {
    const { containers, keys, values } = this.#places;
    for (const { slot, after } of changes) {
      const [container, key] = [containers[slot], keys[slot]];
      if (container === undefined || key === undefined) continue;
      values[slot] = after;
      container[key] = after;
    }
  }

  #compare({ keys, parts }: ContainerShape, next: unknown, changes: SlotChange[]): boolean {
    if (typeof next !== "object" || next === null) return false;
    if (keys === null) {
      if (!Array.isArray(next) || next.length !== parts.length) return false;
      for (let index = 0; index < parts.length; index += 1)
        if (!this.#comparePart(parts[index] ?? 0, next[index], changes)) return false;
      return true;
    }
    if (!isRecord(next) || Object.keys(next).length !== keys.length) return false;
    for (let index = 0; index < keys.length; index += 1)
      if (!this.#comparePart(parts[index] ?? 0, next[keys[index] ?? ""], changes)) return false;
    return true;
  }

  #comparePart(part: Part, value: unknown, changes: SlotChange[]): boolean {
    if (typeof part !== "number") return this.#compare(part, value, changes);
    const before = this.#places.values[part];
    if (value === before) return true;
    const after = typeof value === "number" ? numberOf(value) : value;
    if (!isScalar(after)) return false;
    if (after !== before) changes.push({ slot: part, before, after });
    return true;
  }
}

/** As JSON takes it. */
function numberOf(value: number): number | null {
  return Number.isFinite(value) ? value + 0 : null;
}

/** What is anything else, or absent, is not compared here. */
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

/** Numbers the scalars as `slotPaths` does. */
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
