import { extname, join } from "node:path";
import { startOwnProcess } from "../../util/own-process.ts";
import { ReadError } from "./read-error.ts";
import { READER_COMMAND } from "./reader-command.ts";
import type { ReaderMessage, ReadRequest, ReadRow } from "./reader-protocol.ts";

/** A caller that waits for the result of a read. */
export interface PendingRead {
  resolve(rows: ReadRow[]): void;
  reject(error: unknown): void;
}

/** Notified of the state of a reader process. */
export interface ReaderEvents {
  /** The process has started and accepts requests. */
  ready(): void;
  /** The process has ended; the read that it was running has no result. */
  ended(reason: string): void;
}

/** The server's side of a reader process. It runs one read at a time. */
export class ReaderProcess {
  readonly #child: Bun.Subprocess;
  readonly #events: ReaderEvents;
  #read: PendingRead | null = null;
  #isReady = false;

  /**
   * Starts the process.
   *
   * @param path of the database, absolute
   */
  constructor(path: string, events: ReaderEvents) {
    this.#events = events;
    this.#child = startOwnProcess<ReaderMessage>(commandFor(path), "json", {
      message: (message) => this.#onMessage(message),
      ended: (reason) => events.ended(reason),
    });
  }

  /** Whether the process accepts requests. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** May be called only when the process is ready and has answered the previous read. */
  run(request: ReadRequest, read: PendingRead): void {
    this.#read = read;
    this.#child.send(request);
  }

  /** Ends the process immediately, regardless of what it is doing; `ended` is called. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #onMessage(message: ReaderMessage): void {
    if (message === "ready") {
      this.#isReady = true;
      this.#events.ready();
      return;
    }
    const read = this.#read;
    this.#read = null;
    if ("rows" in message) {
      for (const { row, column, isNegative } of message.infinite) {
        const values = message.rows[row];
        if (values !== undefined) values[column] = isNegative ? -Infinity : Infinity;
      }
      read?.resolve(message.rows);
    } else read?.reject(new ReadError(message.error.message, message.error.code));
  }
}

/** Next to this file, with the same extension: TypeScript, or JavaScript in a bundle. */
const READER = join(import.meta.dir, `reader-main${extname(import.meta.path)}`);

function commandFor(path: string): string[] {
  return Bun.isStandaloneExecutable
    ? [process.execPath, READER_COMMAND, path]
    : [process.execPath, READER, path];
}
