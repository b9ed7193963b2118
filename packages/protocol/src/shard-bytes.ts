import type { ShardDelta } from "./shards.ts";

/**
 * The compact form of a step in which nothing came or went: scalars took the place of scalars. Both
 * sides number the scalars of the view that they share, in the same order, so that a change is its
 * number and its value, and most are two bytes.
 */

/** How a new value is written; in the low bits of the number before it. */
const KIND = { intChange: 0, float64: 1, json: 2, float32: 3 } as const;
const KIND_BITS = 2;
/** The first byte: what older clients are sent begins with a 0. */
const MARK = 1;
/** Integers are written as what they changed by, which must not leave 32 bits. */
const MAX_CHANGE = 2 ** 30;
const VARINT_BYTES = 8;

/** One scalar that changed. */
export interface SlotChange {
  /** Its number: of each list of changes in ascending order. */
  readonly slot: number;
  readonly before: unknown;
  readonly after: unknown;
}

/** The place of each scalar of a view by its number, as keys from the outside in. */
export function slotPaths(view: unknown): readonly (readonly string[])[] {
  const paths: (readonly string[])[] = [];
  collect(view, [], paths);
  return paths;
}

/** The keys of a container in the order in which its parts are numbered. */
export function slotKeys(container: object): string[] {
  return Array.isArray(container) ? Object.keys(container) : Object.keys(container).toSorted();
}

function collect(value: unknown, path: readonly string[], paths: (readonly string[])[]): void {
  if (typeof value !== "object" || value === null) {
    paths.push(path);
    return;
  }
  for (const key of slotKeys(value)) collect(Reflect.get(value, key), [...path, key], paths);
}

/** The changes of a step as bytes, the same for all who have the view before it. */
export function encodeSlots(changes: readonly SlotChange[]): Uint8Array {
  const writer = new ByteWriter();
  let last = -1;
  for (const { slot, before, after } of changes) {
    const gap = slot - last - 1;
    last = slot;
    const kind = kindOf(before, after);
    writer.varint(gap * 2 ** KIND_BITS + kind);
    if (kind === KIND.intChange) writer.zigzag(Number(after) - Number(before));
    else if (kind === KIND.float64) writer.float64(Number(after));
    else if (kind === KIND.float32) writer.float32(Number(after));
    else writer.text(JSON.stringify(after));
  }
  return writer.bytes();
}

/** A frame of one connection: `changes` after the tick, its base and the ack. */
export function encodeSlotFrame(
  frame: { readonly tick: number; readonly base: number; readonly ack: number | null },
  changes: Uint8Array,
): Uint8Array {
  const writer = new ByteWriter();
  writer.byte(MARK);
  writer.varint(frame.tick);
  writer.varint(frame.tick - frame.base);
  writer.varint(frame.ack === null ? 0 : frame.ack + 1);
  writer.append(changes);
  return writer.bytes();
}

/** Whether the bytes are a frame of this form. */
export function isSlotFrame(bytes: ArrayBuffer): boolean {
  return bytes.byteLength > 0 && new Uint8Array(bytes)[0] === MARK;
}

/** What a frame says. */
export interface SlotFrame {
  readonly tick: number;
  readonly base: number;
  /** Null: no other than before. */
  readonly ack: number | null;
  readonly delta: ShardDelta;
}

/** The scalars of a view, for the frames that follow it. */
export class SlotReader {
  readonly #paths: readonly (readonly string[])[];
  readonly #values: unknown[];

  /** @param view that the next frame goes on from */
  constructor(view: unknown) {
    this.#paths = slotPaths(view);
    this.#values = this.#paths.map((path) =>
      path.reduce<unknown>((value, key) => Reflect.get(Object(value), key), view),
    );
  }

  /** @throws TypeError for bytes that do not belong to the view */
  read(bytes: ArrayBuffer): SlotFrame {
    const reader = new ByteReader(bytes);
    reader.byte();
    const tick = reader.varint();
    const base = tick - reader.varint();
    const ack = reader.varint();
    let delta: ShardDelta = {};
    let slot = -1;
    while (!reader.isAtEnd) {
      const head = reader.varint();
      slot += 1 + Math.floor(head / 2 ** KIND_BITS);
      const path = this.#paths[slot];
      if (path === undefined) throw unreadable();
      const value = this.#value(reader, head % 2 ** KIND_BITS, slot);
      this.#values[slot] = value;
      delta = withChange(delta, path, value);
    }
    return { tick, base, ack: ack === 0 ? null : ack - 1, delta };
  }

  #value(reader: ByteReader, kind: number, slot: number): unknown {
    if (kind === KIND.intChange) return Number(this.#values[slot]) + reader.zigzag();
    if (kind === KIND.float64) return reader.float64();
    if (kind === KIND.float32) return reader.float32();
    return JSON.parse(reader.text());
  }
}

/** Adds a change to a delta in place. */
function withChange(delta: ShardDelta, path: readonly string[], value: unknown): ShardDelta {
  const last = path.at(-1);
  if (last === undefined) return [value];
  let node: { s?: Record<string, ShardDelta> } = Object(delta);
  for (const key of path.slice(0, -1)) {
    // Without a prototype, whose keys would be taken for those of the view.
    const children = (node.s ??= Object.create(null) as Record<string, ShardDelta>);
    node = Object((children[key] ??= {}));
  }
  (node.s ??= Object.create(null) as Record<string, ShardDelta>)[last] = [value];
  return delta;
}

function kindOf(before: unknown, after: unknown): number {
  if (typeof after !== "number") return KIND.json;
  const isChange =
    Number.isSafeInteger(after) &&
    Number.isSafeInteger(before) &&
    Math.abs(after - Number(before)) < MAX_CHANGE;
  if (isChange) return KIND.intChange;
  return Math.fround(after) === after ? KIND.float32 : KIND.float64;
}

function unreadable(): TypeError {
  return new TypeError("These bytes are not a step of this view.");
}

/** Taken by one writer after another: memory for each frame costs more than what is written. */
let scratch = new Uint8Array(4096);
let scratchView: DataView | null = null;

/** Writes what it is told at once: only one writer is in use at a time. */
class ByteWriter {
  #length = 0;

  /** A copy of what was written. */
  bytes(): Uint8Array {
    return scratch.slice(0, this.#length);
  }

  byte(value: number): void {
    this.#reserve(1);
    scratch[this.#length++] = value;
  }

  /** A whole number from 0, seven bits a byte. */
  varint(value: number): void {
    this.#reserve(VARINT_BYTES);
    let rest = value;
    while (rest >= 128) {
      scratch[this.#length++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    scratch[this.#length++] = rest;
  }

  /** A whole number of either sign: small ones are short. */
  zigzag(value: number): void {
    this.varint(value < 0 ? -value * 2 - 1 : value * 2);
  }

  float32(value: number): void {
    this.#reserve(4);
    this.#floats().setFloat32(this.#length, value);
    this.#length += 4;
  }

  float64(value: number): void {
    this.#reserve(8);
    this.#floats().setFloat64(this.#length, value);
    this.#length += 8;
  }

  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.varint(bytes.length);
    this.append(bytes);
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    scratch.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(count: number): void {
    if (this.#length + count <= scratch.length) return;
    const larger = new Uint8Array(Math.max(scratch.length * 2, this.#length + count));
    larger.set(scratch);
    scratch = larger;
    scratchView = null;
  }

  #floats(): DataView {
    return (scratchView ??= new DataView(scratch.buffer));
  }
}

class ByteReader {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: ArrayBuffer) {
    this.#bytes = new Uint8Array(bytes);
    this.#view = new DataView(bytes);
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw unreadable();
    this.#at += 1;
    return value;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < VARINT_BYTES; count += 1) {
      const byte = this.byte();
      value += (byte % 128) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw unreadable();
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  float32(): number {
    return this.#view.getFloat32(this.#take(4));
  }

  float64(): number {
    return this.#view.getFloat64(this.#take(8));
  }

  text(): string {
    const length = this.varint();
    const from = this.#take(length);
    return new TextDecoder().decode(this.#bytes.subarray(from, from + length));
  }

  #take(count: number): number {
    if (this.#at + count > this.#bytes.length) throw unreadable();
    this.#at += count;
    return this.#at - count;
  }
}
