import { PylonError } from "@pylonsync/protocol";
import type { Platform, Timer } from "../platform.ts";

/** The maximum size of data that waits for a slow reader, in addition to its first lines. */
const MAX_WAITING_BYTES = 256 * 1024;
/** A proxy must not mistake a quiet stream for a dead connection. */
const HEARTBEAT_MS = 15_000;

const encoder = new TextEncoder();

/** The limits of readers, and the message for one that is too slow. */
export interface LineReaderLimits {
  readonly maxReaders: number;
  /** The maximum size of a reader's first lines, in bytes. */
  readonly maxFirstBytes: number;
  /** The error message when there are too many readers. */
  readonly full: string;
  /** The last line of a reader that is disconnected. */
  readonly cutOff: string;
}

interface LineReader<Tag> {
  readonly tag: Tag;
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
}

/** The readers of a stream of lines, each with a limited amount of memory. */
export class LineReaders<Tag> {
  readonly #readers = new Set<LineReader<Tag>>();
  readonly #every: Platform["every"];
  readonly #limits: LineReaderLimits;
  #heartbeat: Timer | null = null;

  constructor(every: Platform["every"], limits: LineReaderLimits) {
    this.#every = every;
    this.#limits = limits;
  }

  /** Returns the number of readers with such a tag. */
  count(isMeant: (tag: Tag) => boolean): number {
    return [...this.#readers].filter(({ tag }) => isMeant(tag)).length;
  }

  /** The tags of all readers. */
  *tags(): Generator<Tag> {
    for (const { tag } of this.#readers) yield tag;
  }

  /**
   * Streams some lines, and then each that is sent; empty lines keep the connection alive.
   *
   * @param tag distinguishes the readers
   * @throws PylonError RATE_LIMITED when there are too many readers
   */
  open(tag: Tag, first: readonly string[]): ReadableStream<Uint8Array> {
    const { maxReaders, maxFirstBytes, full } = this.#limits;
    if (this.#readers.size >= maxReaders)
      throw new PylonError("RATE_LIMITED", full, {
        hint: "Close one of them.",
        extra: { retry_after_secs: 5 },
      });
    let reader: LineReader<Tag>;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          reader = { tag, controller };
          this.#readers.add(reader);
          this.#heartbeat ??= this.#every(HEARTBEAT_MS, () => this.#beat());
          // Never empty: the response's head is sent with the first bytes.
          controller.enqueue(encoder.encode(`\n${first.map((line) => `${line}\n`).join("")}`));
        },
        cancel: () => this.#remove(reader),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: MAX_WAITING_BYTES + maxFirstBytes }),
    );
  }

  /** Sends a line to the readers whose tag matches. */
  tell(line: string, isMeant: (tag: Tag) => boolean): void {
    for (const reader of this.#readers) if (isMeant(reader.tag)) this.#send(reader, line);
  }

  /** Ends all readers' streams, so that a server can stop. */
  close(): void {
    for (const reader of this.#readers) {
      reader.controller.close();
      this.#remove(reader);
    }
  }

  #send(reader: LineReader<Tag>, line: string): void {
    const isSlow = (reader.controller.desiredSize ?? 0) <= 0;
    reader.controller.enqueue(encoder.encode(`${isSlow ? this.#limits.cutOff : line}\n`));
    if (!isSlow) return;
    reader.controller.close();
    this.#remove(reader);
  }

  #beat(): void {
    for (const { controller } of this.#readers) controller.enqueue(encoder.encode("\n"));
  }

  #remove(reader: LineReader<Tag>): void {
    this.#readers.delete(reader);
    if (this.#readers.size > 0 || this.#heartbeat === null) return;
    this.#heartbeat.cancel();
    this.#heartbeat = null;
  }
}
