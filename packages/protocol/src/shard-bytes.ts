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
/** Of the mark, the tick, its distance to the base, and the ack. */
const MAX_HEAD_BYTES = 1 + 3 * VARINT_BYTES;
const FIRST_BYTES = 512;
/** More memory than this is not kept for the next step. */
const MAX_KEPT_BYTES = 64 * 1024;
const MAX_VIEWS = 64;

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

/**
 * The frames of one step after another. Those of one step differ in the head alone, which is
 * written before the changes in place, so that a frame for each of many connections copies nothing.
 * The memory is used again for the next step: between two steps the caches of the processor forget
 * it, and the code that would allocate it.
 *
 * @example
 *   const frames = new SlotFrames();
 *   frames.begin();
 *   frames.add(3, 1, 2);
 *   socket.sendBinary(frames.frame(7, 6, null));
 */
export class SlotFrames {
  readonly #body = new ByteWriter(FIRST_BYTES);
  readonly #head = new ByteWriter(MAX_HEAD_BYTES);
  /** The frames of this step and of earlier ones by their start and end: parts of `#viewed`. */
  readonly #views = new Map<number, Uint8Array>();
  #viewed: Uint8Array | null = null;
  #lastSlot = -1;
  #last: Uint8Array | null = null;
  #tick = 0;
  #base = 0;
  #ack: number | null = null;

  constructor() {
    this.begin();
  }

  /** Begins the frames of another step, without changes. Invalidates the frames before. */
  begin(): void {
    if (this.#body.capacity > MAX_KEPT_BYTES) this.#body.release(FIRST_BYTES);
    this.#body.reset();
    this.#body.skip(MAX_HEAD_BYTES);
    this.#lastSlot = -1;
    this.#last = null;
  }

  /** Adds the change of a scalar by its number; in ascending order. */
  add(slot: number, before: unknown, after: unknown): void {
    const body = this.#body;
    const kind = kindOf(before, after);
    body.varint((slot - this.#lastSlot - 1) * 2 ** KIND_BITS + kind);
    this.#lastSlot = slot;
    if (kind === KIND.intChange) body.zigzag(Number(after) - Number(before));
    else if (kind === KIND.float64) body.float64(Number(after));
    else if (kind === KIND.float32) body.float32(Number(after));
    else body.text(JSON.stringify(after));
  }

  /**
   * The frame of one connection: the changes after the tick, its base and the ack.
   *
   * @param base the tick of the view before
   * @returns bytes that are valid until the next call
   */
  frame(tick: number, base: number, ack: number | null): Uint8Array {
    const last = this.#last;
    if (last !== null && ack === this.#ack && base === this.#base && tick === this.#tick)
      return last;
    this.#tick = tick;
    this.#base = base;
    this.#ack = ack;
    const head = this.#head;
    head.reset();
    head.byte(MARK);
    head.varint(tick);
    head.varint(tick - base);
    head.varint(ack === null ? 0 : ack + 1);
    const start = MAX_HEAD_BYTES - head.length;
    head.copyTo(this.#body.bytes, start);
    return (this.#last = this.#view(start));
  }

  /** Most steps of a game have frames of a few lengths. */
  #view(start: number): Uint8Array {
    const { bytes, length } = this.#body;
    if (bytes !== this.#viewed || this.#views.size >= MAX_VIEWS) this.#views.clear();
    this.#viewed = bytes;
    const key = length * MAX_HEAD_BYTES + start;
    let view = this.#views.get(key);
    if (view === undefined) {
      view = bytes.subarray(start, length);
      this.#views.set(key, view);
    }
    return view;
  }
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

/** Bytes that grow as they are written. */
class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #floats: DataView | null = null;
  #length = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** What was written, and the rest of the memory. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  get length(): number {
    return this.#length;
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  /** Begins again in the same memory. */
  reset(): void {
    this.#length = 0;
  }

  /** Takes other memory, without what was written. */
  release(capacity: number): void {
    this.#length = 0;
    this.#take(new Uint8Array(capacity));
  }

  /** Copies what was written: a few bytes, for which a loop costs less than a view of them. */
  copyTo(bytes: Uint8Array, start: number): void {
    for (let index = 0; index < this.#length; index += 1)
      bytes[start + index] = this.#bytes[index] ?? 0;
  }

  /** Leaves room for what is written later. */
  skip(count: number): void {
    this.#reserve(count);
    this.#length += count;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  /** A whole number from 0, seven bits a byte. */
  varint(value: number): void {
    this.#reserve(VARINT_BYTES);
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
  }

  /** A whole number of either sign: small ones are short. */
  zigzag(value: number): void {
    this.varint(value < 0 ? -value * 2 - 1 : value * 2);
  }

  float32(value: number): void {
    this.#reserve(4);
    this.#floatsOf().setFloat32(this.#length, value);
    this.#length += 4;
  }

  float64(value: number): void {
    this.#reserve(8);
    this.#floatsOf().setFloat64(this.#length, value);
    this.#length += 8;
  }

  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.varint(bytes.length);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, needed));
    larger.set(this.#bytes);
    this.#take(larger);
  }

  #take(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes;
    this.#floats = null;
  }

  #floatsOf(): DataView {
    return (this.#floats ??= new DataView(this.#bytes.buffer));
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
