import { SlotFrames, MAX_SHARD_STATE_BYTES } from "@pylonsync/protocol";
import { ViewMirror, type ViewChange } from "./view-mirror.ts";

/**
 * One view, encoded once for all of its recipients: in full, and as the changes since the version
 * before. Full views are only encoded when they are sent.
 */
export class ViewChannel {
  readonly #frames = new SlotFrames();
  #mirror = new ViewMirror(this.#frames);
  #isShown = false;
  #version = 0;
  #deltaText: string | null = null;
  #hasFrames = false;
  #wholeText: string | null = null;

  /** The number of changes of the view; 0 before the first view. */
  get version(): number {
    return this.#version;
  }

  /** Whether there is a view: false before the first one, and after one that failed. */
  get isShown(): boolean {
    return this.#isShown;
  }

  /**
   * Updates the view.
   *
   * @throws TypeError for values that JSON can't represent, RangeError if the view is too large
   */
  show(view: unknown): void {
    try {
      this.#take(this.#mirror.update(view));
      this.#isShown = true;
    } catch (error) {
      // The mirror was updated only in part, so the next view is sent in full.
      this.#mirror = new ViewMirror(this.#frames);
      this.#isShown = false;
      throw error;
    }
  }

  #take(change: ViewChange | null): void {
    if (change === null) return;
    this.#version += 1;
    this.#wholeText = null;
    this.#hasFrames = change === "frames";
    // The mirror modifies its copy in place, so changes are encoded before the next update.
    this.#deltaText = change === "frames" ? null : sized(JSON.stringify(change.delta));
  }

  /** The full view as JSON. @throws RangeError if it is too large */
  get whole(): string {
    return (this.#wholeText ??= sized(JSON.stringify(this.#mirror.value)));
  }

  /** The changes since the version before, as JSON; null if `frames` contains them. */
  get delta(): string | null {
    return this.#deltaText;
  }

  /**
   * The changes since the version before, as frames in binary form for clients that have that
   * version; null if these can't represent them.
   */
  get frames(): SlotFrames | null {
    return this.#hasFrames ? this.#frames : null;
  }
}

/**
 * Returns the text of a view if it is not too large. A UTF-16 code unit has at most three bytes, so
 * short texts are not measured.
 *
 * @throws RangeError if it is too large
 */
export function sized(text: string): string {
  const isLarge =
    text.length * 3 > MAX_SHARD_STATE_BYTES && Buffer.byteLength(text) > MAX_SHARD_STATE_BYTES;
  if (isLarge) throw new RangeError(`The view has more than ${MAX_SHARD_STATE_BYTES} bytes.`);
  return text;
}
