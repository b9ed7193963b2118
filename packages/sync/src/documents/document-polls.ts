import type { HttpClient } from "../connection/http.ts";
import type { Emitter } from "../platform/emitter.ts";
import type { Platform } from "../platform/platform.ts";
import type { LocalStore } from "../replica/local-store.ts";
import { nameOfDocument, type DocumentKey } from "./document-client.ts";

/** The minimum time between two requests for a document, in milliseconds. */
const MIN_INTERVAL_MS = 1_500;
/** The time after which a document is requested although its row has not changed. */
const MAX_INTERVAL_MS = 15_000;

/** The dependencies of the polls. */
export interface DocumentPollsOptions {
  readonly http: HttpClient;
  readonly platform: Platform;
  readonly store: LocalStore;
  /** Where received frames are emitted. */
  readonly frames: Emitter<Uint8Array>;
  /** Called when all frames of a response were emitted. */
  readonly onReady: (key: DocumentKey) => void;
}

/**
 * Reads documents by requests, while sockets do not work: when the row of one changes, which other
 * transports report, and from time to time.
 */
export class DocumentPolls {
  readonly #options: DocumentPollsOptions;
  readonly #polls = new Map<string, DocumentPoll>();

  constructor(options: DocumentPollsOptions) {
    this.#options = options;
  }

  /** Reads these documents from now on, and no others. */
  show(keys: readonly DocumentKey[]): void {
    const names = new Set(keys.map(nameOfDocument));
    for (const [name, poll] of [...this.#polls])
      if (!names.has(name)) {
        poll.stop();
        this.#polls.delete(name);
      }
    for (const key of keys) {
      const name = nameOfDocument(key);
      if (!this.#polls.has(name)) this.#polls.set(name, new DocumentPoll(key, this.#options));
    }
  }

  /** Reads a document as a whole. */
  ask(key: DocumentKey): void {
    this.#polls.get(nameOfDocument(key))?.ask();
  }
}

/** Reads one document. */
class DocumentPoll {
  readonly #key: DocumentKey;
  readonly #options: DocumentPollsOptions;
  readonly #stopFollowing: () => void;
  /** What the server has sent, in its form. */
  #after: string | null = null;
  #isStopped = false;
  #isRunning = false;
  #isOutdated = false;
  #nextAt = -Infinity;
  #cancelWait: () => void = () => undefined;

  constructor(key: DocumentKey, options: DocumentPollsOptions) {
    this.#key = key;
    this.#options = options;
    const row = { entity: key.entity, id: key.rowId };
    this.#stopFollowing = options.store.subscribeRow(row, () => this.#read());
    this.#read();
  }

  ask(): void {
    this.#after = null;
    this.#read();
  }

  stop(): void {
    this.#isStopped = true;
    this.#stopFollowing();
    this.#cancelWait();
  }

  #read(): void {
    if (this.#isStopped) return;
    this.#isOutdated = true;
    if (!this.#isRunning) this.#wait(this.#nextAt - this.#options.platform.now());
  }

  #wait(ms: number): void {
    this.#cancelWait();
    this.#cancelWait = this.#options.platform.after(Math.max(0, ms), () => void this.#run());
  }

  async #run(): Promise<void> {
    const { platform, frames, onReady } = this.#options;
    this.#isRunning = true;
    this.#isOutdated = false;
    this.#nextAt = platform.now() + MIN_INTERVAL_MS;
    const after = this.#after;
    const answer = await this.#request(after).catch(() => null);
    this.#isRunning = false;
    if (this.#isStopped) return;
    // A request for the whole document may have been made in the meantime.
    if (answer !== null && this.#after === after) {
      this.#after = answer.after;
      for (const frame of answer.frames) frames.emit(frame);
      onReady(this.#key);
    }
    this.#wait(this.#isOutdated ? MIN_INTERVAL_MS : MAX_INTERVAL_MS);
  }

  async #request(
    after: string | null,
  ): Promise<{ readonly after: string; readonly frames: readonly Uint8Array[] }> {
    const { entity, rowId } = this.#key;
    const path = `/api/crdt/${encodeURIComponent(entity)}/${encodeURIComponent(rowId)}`;
    const query = after === null ? "" : `?after=${encodeURIComponent(after)}`;
    const answer = await this.#options.http.request("GET", path + query);
    const { after: next, frames } = answer as {
      readonly after: string;
      readonly frames: readonly string[];
    };
    return { after: next, frames: frames.map(fromHex) };
  }
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}
