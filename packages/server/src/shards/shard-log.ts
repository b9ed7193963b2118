import { MAX_SHARD_LOG_LINES } from "@pylonsync/protocol";
import type { ShardLogLine } from "@pylonsync/functions";

const WINDOW_MS = 10_000;

/** Limits the lines that a shard writes to the log per time window. */
export class ShardLog {
  readonly #write: (line: ShardLogLine) => void;
  #windowEndsAt = -Infinity;
  #count = 0;

  constructor(write: (line: ShardLogLine) => void) {
    this.#write = write;
  }

  /**
   * Writes the lines that fit, and one line when the first is dropped.
   *
   * @param now monotonic time in milliseconds
   */
  add(lines: readonly ShardLogLine[], now: number): void {
    if (lines.length === 0) return;
    if (now >= this.#windowEndsAt) {
      this.#windowEndsAt = now + WINDOW_MS;
      this.#count = 0;
    }
    for (const line of lines) {
      this.#count += 1;
      if (this.#count <= MAX_SHARD_LOG_LINES) this.#write(line);
      else if (this.#count === MAX_SHARD_LOG_LINES + 1) this.#write(DROPPED);
    }
  }
}

const DROPPED: ShardLogLine = {
  level: "warn",
  message: "shard logs too much: further lines are dropped for some seconds",
  fields: {},
};
