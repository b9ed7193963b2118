import type { InterestDefinition, ShardPosition } from "@pylonsync/functions";
import type { ShardDelta } from "@pylonsync/protocol";
import { ViewMirror } from "./view-mirror.ts";

/** A part of the view that is sent independently, and encoded once for all recipients. */
class SharedPart {
  #mirror = new ViewMirror(null);
  #version = 0;
  #whole: string | null = null;
  #change: ShardDelta | null = null;

  /** The number of its changes. */
  get version(): number {
    return this.#version;
  }

  /** The complete part as JSON. */
  get whole(): string {
    return (this.#whole ??= JSON.stringify(this.#mirror.value));
  }

  /** The changes of its last version; valid until the next `update`. */
  get change(): ShardDelta | null {
    return this.#change;
  }

  /** Updates the part. @throws TypeError for values that JSON can't represent */
  update(value: unknown): void {
    try {
      const change = this.#mirror.update(value);
      if (change === null || change === "frames") return;
      this.#version += 1;
      this.#whole = null;
      this.#change = change.delta;
    } catch (error) {
      // The mirror was updated only in part, so the next update is a full one.
      this.#mirror = new ViewMirror(null);
      throw error;
    }
  }
}

/** The fields of a view that all players receive. */
class SharedRest extends SharedPart {
  #lines: { readonly set: string; readonly removed: string } | null = null;

  /** The changes of its last version, as the contents of `s` and `r`; null: everything changed. */
  get lines(): { readonly set: string; readonly removed: string } | null {
    return this.#lines;
  }

  override update(value: unknown): void {
    const before = this.version;
    super.update(value);
    const { change } = this;
    if (this.version === before || change === null) return;
    this.#lines = isPartial(change)
      ? {
          set: change.s === undefined ? "" : JSON.stringify(change.s).slice(1, -1),
          removed: change.r === undefined ? "" : JSON.stringify(change.r).slice(1, -1),
        }
      : null;
  }
}

/** A thing with a position. */
export class Thing extends SharedPart {
  readonly field: string;
  readonly id: string;
  /** The id as JSON. */
  readonly key: string;
  /** The app's object in this step. */
  value: unknown = null;
  /** The cell of its position. */
  column = 0;
  row = 0;
  /** Whether it is no longer in the view. */
  isGone = false;
  /** The last step whose view contained it. */
  seenIn = 0;
  #wholeLine: string | null = null;
  #deltaLine: string | null = null;

  constructor(field: string, id: string) {
    super();
    this.field = field;
    this.id = id;
    this.key = JSON.stringify(id);
  }

  /** An entry of a delta for recipients that have the version before: `"id":DELTA`. */
  get deltaLine(): string {
    return (this.#deltaLine ??= `${this.key}:${JSON.stringify(this.change)}`);
  }

  /** An entry of a delta for all other recipients: `"id":[WHOLE]`. */
  get wholeLine(): string {
    return (this.#wholeLine ??= `${this.key}:[${this.whole}]`);
  }

  override update(value: unknown): void {
    super.update(value);
    this.#wholeLine = null;
    this.#deltaLine = null;
  }
}

/**
 * The things of a view by their cells, with the changes of each, for all connections that receive
 * the views of the same steps.
 */
export class InterestGrid {
  readonly rules: InterestDefinition;
  /** The fields of the view that all players receive. */
  readonly rest = new SharedRest();
  readonly #things: ReadonlyMap<string, Map<string, Thing>>;
  readonly #cells = new Map<string, Set<Thing>>();
  /** The things around each cell in this step, for all players who look from it. */
  readonly #near = new Map<string, ReadonlySet<Thing>>();
  #steps = 0;
  #isShown = false;

  constructor(rules: InterestDefinition) {
    this.rules = rules;
    this.#things = new Map(rules.fields.map((field) => [field, new Map<string, Thing>()]));
  }

  /** Whether there is a view: false before the first one, and after one that failed. */
  get isShown(): boolean {
    return this.#isShown;
  }

  /**
   * Updates the view.
   *
   * @throws TypeError for a view that is not an object with these fields, for an invalid position,
   *   and for values that JSON can't represent
   */
  show(view: unknown): void {
    if (typeof view !== "object" || view === null || Array.isArray(view))
      throw new TypeError("A view with interest must be an object.");
    this.#isShown = false;
    this.#steps += 1;
    this.#near.clear();
    const rest: Record<string, unknown> = Object.create(null);
    for (const [key, value] of Object.entries(view)) if (!this.#things.has(key)) rest[key] = value;
    this.rest.update(rest);
    for (const [field, known] of this.#things) this.#showField(field, known, view);
    this.#isShown = true;
  }

  /** Returns the things near a point. @throws TypeError for an invalid position */
  near(place: ShardPosition): ReadonlySet<Thing> {
    const { radiusCells = DEFAULT_RADIUS_CELLS } = this.rules;
    const { column, row } = this.#cellOf(place, "interest.center");
    const key = cellKey(column, row);
    const known = this.#near.get(key);
    if (known !== undefined) return known;
    const near = new Set<Thing>();
    for (let down = row - radiusCells; down <= row + radiusCells; down += 1)
      for (let along = column - radiusCells; along <= column + radiusCells; along += 1)
        for (const thing of this.#cells.get(cellKey(along, down)) ?? []) near.add(thing);
    this.#near.set(key, near);
    return near;
  }

  #cellOf(place: ShardPosition, what: string): { readonly column: number; readonly row: number } {
    const { cellSize } = this.rules;
    const [column, row] = [Math.floor(place.x / cellSize), Math.floor(place.y / cellSize)];
    if (!Number.isSafeInteger(column) || !Number.isSafeInteger(row))
      throw new TypeError(`${what} has no valid position: x and y must be finite numbers.`);
    return { column, row };
  }

  #showField(field: string, known: Map<string, Thing>, view: object): void {
    const things: unknown = Reflect.get(view, field);
    if (typeof things !== "object" || things === null || Array.isArray(things))
      throw new TypeError(`The view's ${field} must be an object of things by id.`);
    for (const [id, value] of Object.entries(things)) {
      // JSON omits it.
      if (value === undefined) continue;
      this.#showThing(known.get(id) ?? new Thing(field, id), value, known);
    }
    for (const thing of known.values())
      if (thing.seenIn !== this.#steps) this.#remove(thing, known);
  }

  #showThing(thing: Thing, value: unknown, known: Map<string, Thing>): void {
    const { field, id } = thing;
    const place = this.rules.position?.(value, id) ?? placeOf(value);
    const { column, row } = this.#cellOf(place, `${field}.${id}`);
    thing.update(value);
    thing.value = value;
    thing.seenIn = this.#steps;
    const isNew = !known.has(id);
    if (!isNew && thing.column === column && thing.row === row) return;
    if (isNew) known.set(id, thing);
    else this.#takeOut(thing);
    thing.column = column;
    thing.row = row;
    const key = cellKey(column, row);
    const cell = this.#cells.get(key);
    if (cell === undefined) this.#cells.set(key, new Set([thing]));
    else cell.add(thing);
  }

  #remove(thing: Thing, known: Map<string, Thing>): void {
    thing.isGone = true;
    known.delete(thing.id);
    this.#takeOut(thing);
  }

  #takeOut(thing: Thing): void {
    const key = cellKey(thing.column, thing.row);
    const cell = this.#cells.get(key);
    cell?.delete(thing);
    if (cell?.size === 0) this.#cells.delete(key);
  }
}

const DEFAULT_RADIUS_CELLS = 1;
const NO_POSITION: ShardPosition = { x: NaN, y: NaN };

function isPartial(delta: ShardDelta): delta is Exclude<ShardDelta, readonly [unknown]> {
  return !Array.isArray(delta);
}

function cellKey(column: number, row: number): string {
  return `${column},${row}`;
}

function placeOf(value: unknown): ShardPosition {
  const { x, y }: Partial<ShardPosition> = Object(value);
  return x === undefined || y === undefined ? NO_POSITION : { x, y };
}
