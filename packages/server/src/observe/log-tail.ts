import { PylonError } from "@pylonsync/protocol";
import { LOG_RANK, type LogLevel } from "../config/log-level.ts";
import { systemPlatform, type Platform, type Timer } from "../platform.ts";

const MAX_LINES = 1_000;
const MAX_CHARACTERS = 1024 * 1024;
const MAX_READERS = 16;
/** What may wait for a reader that is slow. */
const MAX_WAITING_BYTES = 256 * 1024;
/** A proxy must not take a quiet log for a dead connection. */
const HEARTBEAT_MS = 15_000;
const CUT_OFF = JSON.stringify({
  level: "warn",
  message: "this reader of the log is too slow and is cut off: lines after this are missing",
});

interface Line {
  readonly level: LogLevel;
  readonly text: string;
}

interface Reader {
  readonly level: LogLevel;
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
}

const encoder = new TextEncoder();

/**
 * The newest lines of this process's log, for the admin: so many and no more, however much is
 * logged and however slowly it is read.
 */
export class LogTail {
  readonly #readers = new Set<Reader>();
  #lines: Line[] = [];
  #characters = 0;
  #heartbeat: Timer | null = null;
  readonly #every: Platform["every"];

  /** @param every see Platform */
  constructor(every: Platform["every"] = systemPlatform.every) {
    this.#every = every;
  }

  /** @param text one JSON object, as stderr gets it */
  add(level: LogLevel, text: string): void {
    this.#lines.push({ level, text });
    this.#characters += text.length;
    // A quarter at once: shifting a long list for each line costs more than the line.
    if (this.#lines.length > MAX_LINES * 1.25 || this.#characters > MAX_CHARACTERS * 1.25)
      this.#shrink();
    for (const reader of this.#readers)
      if (LOG_RANK[level] >= LOG_RANK[reader.level]) this.#send(reader, text);
  }

  /** The newest lines of this level or above, oldest first. */
  recent(level: LogLevel, limit: number): string[] {
    return limit === 0
      ? []
      : this.#lines
          .filter((line) => LOG_RANK[line.level] >= LOG_RANK[level])
          .slice(-limit)
          .map(({ text }) => text);
  }

  /**
   * The newest lines and then each as it is logged, a JSON object a line; empty lines keep the
   * connection alive.
   *
   * @throws PylonError RATE_LIMITED when too many read already
   */
  follow(level: LogLevel, limit: number): ReadableStream<Uint8Array> {
    if (this.#readers.size >= MAX_READERS)
      throw new PylonError("RATE_LIMITED", `${MAX_READERS} readers follow the log already.`, {
        hint: "End one of them.",
        extra: { retry_after_secs: 5 },
      });
    let reader: Reader;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          reader = { level, controller };
          this.#readers.add(reader);
          this.#heartbeat ??= this.#every(HEARTBEAT_MS, () => this.#beat());
          // Never nothing: the answer's head goes out with the first bytes.
          controller.enqueue(
            encoder.encode(
              `\n${this.recent(level, limit)
                .map((line) => `${line}\n`)
                .join("")}`,
            ),
          );
        },
        cancel: () => this.#remove(reader),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: MAX_WAITING_BYTES + MAX_CHARACTERS * 2 }),
    );
  }

  /** Ends every reader's stream, so that a server can stop. */
  close(): void {
    for (const reader of this.#readers) {
      reader.controller.close();
      this.#remove(reader);
    }
  }

  #send(reader: Reader, text: string): void {
    const isSlow = (reader.controller.desiredSize ?? 0) <= 0;
    reader.controller.enqueue(encoder.encode(`${isSlow ? CUT_OFF : text}\n`));
    if (!isSlow) return;
    reader.controller.close();
    this.#remove(reader);
  }

  #beat(): void {
    for (const reader of this.#readers) reader.controller.enqueue(encoder.encode("\n"));
  }

  #remove(reader: Reader): void {
    this.#readers.delete(reader);
    if (this.#readers.size > 0 || this.#heartbeat === null) return;
    this.#heartbeat.cancel();
    this.#heartbeat = null;
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
