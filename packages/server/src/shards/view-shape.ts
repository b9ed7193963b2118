import { slotKeys, type SlotFrames } from "@pylonsync/protocol";
import { isRecord } from "../util/is-record.ts";

/**
 * The shape of a container. Scalars have the numbers of the order in which they are visited, so
 * that containers with the same keys, such as the players of a game, share one shape.
 */
interface ContainerShape {
  /** The keys of an object; null for an array. */
  readonly keys: readonly string[] | null;
  /** The number of parts. */
  readonly length: number;
  /** The shape of each part, or null for a scalar; null if all parts are scalars. */
  readonly parts: readonly (ContainerShape | null)[] | null;
}

/** A container of the mirror: an object, or an array with its indices as keys. */
type Container = Record<string, unknown>;

/** Has a special meaning on ordinary objects. */
const UNSAFE_KEY = "__proto__";

/**
 * The shape of a view, for steps that keep it: a new view is compared with the old scalars in one
 * pass, which allocates nothing.
 */
export class ViewShape {
  readonly #copy: Container;
  readonly #root: ContainerShape;
  readonly #frames: SlotFrames;
  /** The scalars by number, and the list for those of the next view. */
  #values: unknown[];
  #next: unknown[];
  /** The number of scalars that a comparison has visited. */
  #slot = 0;
  #changes = 0;
  /** Whether the copy has other scalars. */
  #isBehind = false;

  private constructor(copy: Container, root: ContainerShape, values: unknown[], to: SlotFrames) {
    this.#copy = copy;
    this.#root = root;
    this.#values = values;
    this.#next = [...values];
    this.#frames = to;
  }

  /**
   * @param copy which `flush` modifies
   * @param frames receives the changes of each update
   * @returns null if the view can't be numbered
   */
  static of(copy: unknown, frames: SlotFrames): ViewShape | null {
    if (!isContainer(copy)) return null;
    const values: unknown[] = [];
    const root = shapeOf(copy, values, new Map());
    return root === null ? null : new ViewShape(copy, root, values, frames);
  }

  /** The number of changes that the last update has written. */
  get changes(): number {
    return this.#changes;
  }

  /**
   * Updates the scalars, and writes their changes as new frames, if there are any.
   *
   * @returns false, and the scalars are kept, for a view of another shape
   */
  update(view: unknown): boolean {
    this.#slot = 0;
    this.#changes = 0;
    if (!this.#compare(this.#root, view)) return false;
    if (this.#changes === 0) return true;
    const values = this.#values;
    this.#values = this.#next;
    this.#next = values;
    this.#isBehind = true;
    return true;
  }

  /** Updates the copy from which the shape was created. */
  flush(): void {
    if (!this.#isBehind) return;
    this.#isBehind = false;
    this.#slot = 0;
    this.#write(this.#root, this.#copy);
  }

  #compare({ keys, length, parts }: ContainerShape, next: unknown): boolean {
    if (typeof next !== "object" || next === null) return false;
    if (keys === null) return this.#compareArray(length, parts, next);
    if (!isRecord(next) || Object.keys(next).length !== length) return false;
    if (parts === null) return this.#compareScalars(keys, next);
    for (let index = 0; index < length; index += 1)
      if (!this.#comparePart(parts[index] ?? null, next[keys[index] ?? ""])) return false;
    return true;
  }

  #compareArray(length: number, parts: ContainerShape["parts"], next: unknown): boolean {
    if (!Array.isArray(next) || next.length !== length) return false;
    for (let index = 0; index < length; index += 1)
      if (!this.#comparePart(parts === null ? null : (parts[index] ?? null), next[index]))
        return false;
    return true;
  }

  /** Most objects of a view have few keys: here the runtime remembers where their values are. */
  #compareScalars(keys: readonly string[], next: Readonly<Record<string, unknown>>): boolean {
    for (const key of keys) if (!this.#compareScalar(next[key])) return false;
    return true;
  }

  #comparePart(part: ContainerShape | null, value: unknown): boolean {
    return part === null ? this.#compareScalar(value) : this.#compare(part, value);
  }

  #compareScalar(value: unknown): boolean {
    const slot = this.#slot;
    this.#slot += 1;
    const before = this.#values[slot];
    if (value === before) {
      this.#next[slot] = before;
      return true;
    }
    const after = typeof value === "number" ? numberOf(value) : value;
    if (!isScalar(after)) return false;
    this.#next[slot] = after;
    if (after === before) return true;
    if (this.#changes === 0) this.#frames.begin();
    this.#changes += 1;
    this.#frames.add(slot, before, after);
    return true;
  }

  #write({ parts }: ContainerShape, container: Container): void {
    for (const [index, key] of slotKeys(container).entries()) {
      const part = parts === null ? null : (parts[index] ?? null);
      const value = container[key];
      if (part !== null && isContainer(value)) this.#write(part, value);
      else {
        container[key] = this.#values[this.#slot];
        this.#slot += 1;
      }
    }
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

/**
 * Numbers the scalars in the same order as `slotPaths`.
 *
 * @param values receives them
 * @param leaves the shapes of containers that only have scalars
 */
function shapeOf(
  container: Container,
  values: unknown[],
  leaves: Map<string, ContainerShape>,
): ContainerShape | null {
  const keys = slotKeys(container);
  const parts: (ContainerShape | null)[] = [];
  for (const key of keys) {
    if (key === UNSAFE_KEY) return null;
    const value = container[key];
    const part = isContainer(value) ? shapeOf(value, values, leaves) : null;
    if (part === null && isContainer(value)) return null;
    if (part === null) values.push(value);
    parts.push(part);
  }
  const isArray = Array.isArray(container);
  const shape = { keys: isArray ? null : keys, length: keys.length };
  if (parts.some((part) => part !== null)) return { ...shape, parts };
  const name = isArray ? `${keys.length}` : JSON.stringify(keys);
  const leaf = leaves.get(name) ?? { ...shape, parts: null };
  leaves.set(name, leaf);
  return leaf;
}
