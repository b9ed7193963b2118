import { extname, join } from "node:path";
import { ReadError } from "./read-error.ts";
import { READER_COMMAND } from "./reader-command.ts";
import type { ReaderMessage, ReadRequest, ReadRow } from "./reader-protocol.ts";

/** A caller that waits for a read. */
export interface PendingRead {
  resolve(rows: ReadRow[]): void;
  reject(error: unknown): void;
}

/** Told what becomes of a reader process. */
export interface ReaderEvents {
  /** It has opened the database and takes requests. */
  ready(): void;
  /** It is gone; the read that it was at work on was not answered. */
  ended(reason: string): void;
}

/** A reader process, seen from the server. It does one read at a time. */
export class ReaderProcess {
  readonly #child: Bun.Subprocess;
  readonly #events: ReaderEvents;
  #read: PendingRead | null = null;
  #isReady = false;

  /** Starts it. @param path of the database, absolute */
  constructor(path: string, events: ReaderEvents) {
    this.#events = events;
    this.#child = Bun.spawn(commandFor(path), {
      ipc: (message: ReaderMessage) => this.#heard(message),
      serialization: "json",
      stdio: ["ignore", "ignore", "inherit"],
      // The app's folder may have settings of Bun, which are not for it.
      cwd: "/",
      // The server's secrets stay with the server. It must not outlive the server, also where that
      // is killed while a statement keeps the reader from noticing.
      env: { BUN_OPTIONS: "--smol --no-orphans" },
      onExit: (_, code, signal) =>
        events.ended(signal === null ? `exit code ${String(code)}` : `signal ${String(signal)}`),
    });
    this.#child.unref();
  }

  /** Whether it has opened the database. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Only once it is ready and has answered the read before. */
  run(request: ReadRequest, read: PendingRead): void {
    this.#read = read;
    this.#child.send(request);
  }

  /** Ends it at once, whatever it does; `ended` is told. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #heard(message: ReaderMessage): void {
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

/** Beside this file, and of its kind: TypeScript, or JavaScript once it is bundled. */
const READER = join(import.meta.dir, `reader-main${extname(import.meta.path)}`);

function commandFor(path: string): string[] {
  return Bun.isStandaloneExecutable
    ? [process.execPath, READER_COMMAND, path]
    : [process.execPath, READER, path];
}
