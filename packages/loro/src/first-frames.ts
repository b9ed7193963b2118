import { CRDT_FRAME_SNAPSHOT, type CrdtFrame } from "@pylonsync/protocol";
import type { Platform } from "@pylonsync/sync";

/** An earlier server does not tell that all have arrived: they have after this pause, in ms. */
const PAUSE_MS = 1_000;
/** While others type, there is no pause: they are held no longer than this, in ms. */
const LONGEST_MS = 5_000;

/**
 * The frames with which a document arrives: a snapshot, and the updates after it. They are held
 * until all are there, because the snapshot alone is an older state: the text that the row has
 * shown until then would go back, with the caret in it, and come again.
 */
export class FirstFrames {
  readonly #after: Platform["after"];
  readonly #onComplete: (frames: readonly CrdtFrame[]) => void;
  #frames: CrdtFrame[] = [];
  #cancelPause: () => void = () => undefined;
  #cancelLongest: () => void = () => undefined;

  /** @param onComplete called with all frames, the snapshot first */
  constructor(after: Platform["after"], onComplete: (frames: readonly CrdtFrame[]) => void) {
    this.#after = after;
    this.#onComplete = onComplete;
  }

  /**
   * Holds a frame if it is one of these.
   *
   * @param isExpected whether a snapshot begins them
   */
  hold(frame: CrdtFrame, isExpected: boolean): boolean {
    const isFirst = frame.type === CRDT_FRAME_SNAPSHOT;
    if (isFirst && !isExpected) this.forget();
    if (isFirst ? !isExpected : this.#frames.length === 0) return false;
    this.#frames = isFirst ? [frame] : [...this.#frames, frame];
    this.#cancelPause();
    this.#cancelPause = this.#after(PAUSE_MS, () => this.complete());
    if (!isFirst) return true;
    this.#cancelLongest();
    this.#cancelLongest = this.#after(LONGEST_MS, () => this.complete());
    return true;
  }

  /** All frames have arrived. */
  complete(): void {
    const frames = this.#frames;
    this.forget();
    if (frames.length > 0) this.#onComplete(frames);
  }

  /** Drops what is held. */
  forget(): void {
    this.#cancelPause();
    this.#cancelLongest();
    this.#frames = [];
  }
}
