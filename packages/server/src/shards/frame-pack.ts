/**
 * Binary frames of several connections in one list of bytes. Passing each frame to another thread
 * as an object would cost more than what it contains.
 */
export interface FramePack {
  /** For each frame: the number of its connection, where its bytes begin, and where they end. */
  readonly places: Int32Array;
  readonly bytes: Uint8Array;
}

const NUMBERS_PER_FRAME = 3;
const FIRST_BYTES = 4096;

/** Collects frames, whose bytes may be overwritten afterwards. */
export class FramePacker {
  #bytes = new Uint8Array(FIRST_BYTES);
  #length = 0;
  /** Where the last frame begins. Successive frames are often equal, and are then written once. */
  #lastStart = 0;
  #places: number[] = [];

  add(connection: number, frame: Uint8Array): void {
    if (!this.#endsWith(frame)) this.#append(frame);
    this.#places.push(connection, this.#lastStart, this.#length);
  }

  /** @returns the frames since the last call; null if there are none */
  take(): FramePack | null {
    if (this.#places.length === 0) return null;
    const pack = {
      places: Int32Array.from(this.#places),
      bytes: this.#bytes.slice(0, this.#length),
    };
    this.#places = [];
    this.#length = 0;
    this.#lastStart = 0;
    return pack;
  }

  #endsWith(frame: Uint8Array): boolean {
    const last = this.#bytes.subarray(this.#lastStart, this.#length);
    return this.#places.length > 0 && Buffer.compare(last, frame) === 0;
  }

  #append(frame: Uint8Array): void {
    const end = this.#length + frame.length;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(frame, this.#length);
    this.#lastStart = this.#length;
    this.#length = end;
  }
}

/** Calls `send` for each frame of a pack, in order. */
export function unpackFrames(
  { places, bytes }: FramePack,
  send: (connection: number, frame: Uint8Array) => void,
): void {
  let frame = bytes.subarray(0, 0);
  let start = 0;
  let end = 0;
  for (let at = 0; at < places.length; at += NUMBERS_PER_FRAME) {
    const from = places[at + 1] ?? 0;
    const to = places[at + 2] ?? 0;
    if (from !== start || to !== end) frame = bytes.subarray(from, to);
    start = from;
    end = to;
    send(places[at] ?? 0, frame);
  }
}
