import { MAX_SHARD_STATE_BYTES } from "@pylonsync/protocol";
import { ViewMirror } from "./view-mirror.ts";

/**
 * One view, encoded once for all who see it: whole, and as what changed in the last step that
 * changed it. Nothing is encoded that nobody is sent.
 */
export class ViewChannel {
  readonly #mirror = new ViewMirror();
  #version = 0;
  #delta: unknown = null;
  #deltaText: string | null = null;
  #wholeText: string | null = null;

  /** How often the view has changed; 0 before the first. */
  get version(): number {
    return this.#version;
  }

  /** Takes the view as it is now. @throws TypeError for what JSON can't say */
  show(view: unknown): void {
    // The mirror changes its copy in place, so the text of the delta is made before the next one.
    const delta = this.#mirror.update(view);
    if (delta === null) return;
    this.#version += 1;
    this.#delta = delta;
    this.#deltaText = null;
    this.#wholeText = null;
  }

  /** The view as JSON. @throws RangeError when it is too large */
  get whole(): string {
    return (this.#wholeText ??= sized(JSON.stringify(this.#mirror.value)));
  }

  /** What changed since the version before, as JSON. @throws RangeError when it is too large */
  get delta(): string {
    return (this.#deltaText ??= sized(JSON.stringify(this.#delta)));
  }
}

/** No character of UTF-16 takes more than three bytes, so short texts need not be counted. */
function sized(text: string): string {
  const isLarge =
    text.length * 3 > MAX_SHARD_STATE_BYTES && Buffer.byteLength(text) > MAX_SHARD_STATE_BYTES;
  if (isLarge) throw new RangeError(`The view has more than ${MAX_SHARD_STATE_BYTES} bytes.`);
  return text;
}
