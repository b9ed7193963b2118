import { LOG_RANK, type LogLevel } from "../config/log-level.ts";
import { systemPlatform, type Platform } from "../platform.ts";
import { LineReaders } from "../util/line-readers.ts";

const MAX_LINES = 1_000;
const MAX_CHARACTERS = 1024 * 1024;
const MAX_READERS = 16;

interface Line {
  readonly level: LogLevel;
  readonly text: string;
}

/**
 * The newest lines of this process's log, for the admin. Their number is bounded, however much is
 * logged and however slowly it is read.
 */
export class LogTail {
  /** Each with the minimum level that it reads. */
  readonly #readers: LineReaders<LogLevel>;
  #lines: Line[] = [];
  #characters = 0;

  /** @param every see Platform */
  constructor(every: Platform["every"] = systemPlatform.every) {
    this.#readers = new LineReaders(every, {
      maxReaders: MAX_READERS,
      maxFirstBytes: MAX_CHARACTERS * 2,
      full: `The maximum of ${MAX_READERS} readers of the log has been reached.`,
      cutOff: JSON.stringify({
        level: "warn",
        message: "this reader of the log is too slow and is disconnected: later lines are missing",
      }),
    });
  }

  /** @param text one JSON object, as written to stderr */
  add(level: LogLevel, text: string): void {
    this.#lines.push({ level, text });
    this.#characters += text.length;
    // A quarter at a time: shifting a long list for each line costs more than the line.
    if (this.#lines.length > MAX_LINES * 1.25 || this.#characters > MAX_CHARACTERS * 1.25)
      this.#shrink();
    this.#readers.tell(text, (from) => LOG_RANK[level] >= LOG_RANK[from]);
  }

  /** Returns the newest lines of this level or above, oldest first. */
  recent(level: LogLevel, limit: number): string[] {
    return limit === 0
      ? []
      : this.#lines
          .filter((line) => LOG_RANK[line.level] >= LOG_RANK[level])
          .slice(-limit)
          .map(({ text }) => text);
  }

  /**
   * Streams the newest lines and then each as it is logged, one JSON object per line; empty lines
   * keep the connection alive.
   *
   * @throws PylonError RATE_LIMITED when there are too many readers
   */
  follow(level: LogLevel, limit: number): ReadableStream<Uint8Array> {
    return this.#readers.open(level, this.recent(level, limit));
  }

  /** Ends all readers' streams, so that a server can stop. */
  close(): void {
    this.#readers.close();
  }

  #shrink(): void {
    let from = this.#lines.length;
    for (let characters = 0; from > 0 && this.#lines.length - from < MAX_LINES; from -= 1) {
      characters += this.#lines[from - 1]?.text.length ?? 0;
      if (characters > MAX_CHARACTERS) break;
    }
    this.#lines = this.#lines.slice(from);
    this.#characters = this.#lines.reduce((sum, { text }) => sum + text.length, 0);
  }
}
