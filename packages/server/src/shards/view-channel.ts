import { encodeSlotFrame, encodeSlots, MAX_SHARD_STATE_BYTES } from "@pylonsync/protocol";
import { ViewMirror, type ViewChange } from "./view-mirror.ts";

/**
 * One view, encoded once for all who see it: whole, and as what changed in the last step that
 * changed it. Nothing is encoded that nobody is sent.
 */
export class ViewChannel {
  #mirror = new ViewMirror();
  #isShown = false;
  #version = 0;
  #deltaText: string | null = null;
  #slotBytes: Uint8Array | null = null;
  #wholeText: string | null = null;
  /** The frame that was made last: most who see the view are sent the same. */
  #frame: {
    readonly base: number;
    readonly ack: number | null;
    readonly bytes: Uint8Array;
  } | null = null;

  /** How often the view has changed; 0 before the first. */
  get version(): number {
    return this.#version;
  }

  /** Whether there is a view: not before the first, nor after one that failed. */
  get isShown(): boolean {
    return this.#isShown;
  }

  /**
   * Takes the view as it is now.
   *
   * @throws TypeError for what JSON can't say, RangeError when it is too large
   */
  show(view: unknown): void {
    try {
      this.#take(this.#mirror.update(view));
      this.#isShown = true;
    } catch (error) {
      // What the mirror has by now is a part of it: the next view is taken as a whole.
      this.#mirror = new ViewMirror();
      this.#isShown = false;
      throw error;
    }
  }

  #take(change: ViewChange | null): void {
    if (change === null) return;
    this.#version += 1;
    this.#wholeText = null;
    this.#frame = null;
    // The mirror changes its copy in place, so what changed is encoded before the next change.
    this.#slotBytes = "slots" in change ? encodeSlots(change.slots) : null;
    this.#deltaText = "delta" in change ? sized(JSON.stringify(change.delta)) : null;
  }

  /** The view as JSON. @throws RangeError when it is too large */
  get whole(): string {
    return (this.#wholeText ??= sized(JSON.stringify(this.#mirror.value)));
  }

  /** What changed since the version before, as JSON; null where `slots` has it. */
  get delta(): string | null {
    return this.#deltaText;
  }

  /** What changed since the version before, in the compact form; null where it can't be said so. */
  get slots(): Uint8Array | null {
    return this.#slotBytes;
  }

  /**
   * A frame of the compact form, for those who have the version before.
   *
   * @param base the tick of the frame that they have
   */
  slotFrame(slots: Uint8Array, tick: number, base: number, ack: number | null): Uint8Array {
    const known = this.#frame;
    if (known !== null && known.base === base && known.ack === ack) return known.bytes;
    const bytes = encodeSlotFrame({ tick, base, ack }, slots);
    this.#frame = { base, ack, bytes };
    return bytes;
  }
}

/**
 * A view as it is sent, if it is not too large. No character of UTF-16 takes more than three bytes,
 * so short texts need not be counted.
 *
 * @throws RangeError when it is
 */
export function sized(text: string): string {
  const isLarge =
    text.length * 3 > MAX_SHARD_STATE_BYTES && Buffer.byteLength(text) > MAX_SHARD_STATE_BYTES;
  if (isLarge) throw new RangeError(`The view has more than ${MAX_SHARD_STATE_BYTES} bytes.`);
  return text;
}
