import { MutationError, PylonClientError } from "../connection/errors.ts";
import type { EngineBus } from "../connection/events.ts";
import type { HttpClient } from "../connection/http.ts";
import { isUnreachable } from "../connection/answer.ts";
import { writeFailureOf } from "../outbox/write-failure.ts";
import { Backoff } from "../platform/backoff.ts";
import type { Platform } from "../platform/platform.ts";
import type { DocumentKey } from "./document-client.ts";

/** The minimum time between two requests, in milliseconds: people press ten keys a second. */
const MIN_INTERVAL_MS = 200;
/** The number of requests that may follow each other at this interval. */
const BURST = 20;
/**
 * The interval of further requests, in milliseconds. A server in production accepts a hundred edits
 * a minute from one user by default, and the user may write in several tabs.
 */
const SUSTAINED_MS = 1_500;

/** A size to which a proxy may limit requests; updates are not made smaller, in bytes. */
const MIN_UPDATE_BYTES = 16 * 1024;

/** Changes of a document, in one request. */
export interface DocumentUpdate {
  readonly bytes: Uint8Array;
  /** The length of all texts with all changes, if known: further updates may follow. */
  readonly length?: number;
  /** Called when the server has them. */
  readonly sent: () => void;
  /** Called when the server has rejected them: they are removed from the document. */
  readonly refused: (error: MutationError) => void;
}

/** A document with changes to send. */
export interface DocumentChanges {
  /**
   * Returns the changes that the server does not have, or the first of them if an update with all
   * would be too large for the server, or have more than `maxBytes`; null if there are none.
   */
  take(maxBytes: number): DocumentUpdate | null;
}

/** The dependencies and callbacks of a sender. */
export interface DocumentSenderOptions {
  readonly http: HttpClient;
  readonly platform: Platform;
  readonly events: EngineBus;
  readonly retryDelay: number;
  /** Whether changes may be sent as the current user. */
  readonly canSend: () => boolean;
  /**
   * Verifies that the requests are sent as the known user.
   *
   * @throws PylonClientError
   */
  readonly prepare: () => Promise<void>;
}

/** Errors about a row or an entity that does not exist, and not about the delivery. */
const GONE: readonly string[] = ["ENTITY_NOT_FOUND", "NOT_FOUND", "ROW_NOT_FOUND"];

/**
 * Sends the changes of documents: one request at a time, each with everything that a document has
 * changed since the previous one.
 */
export class DocumentSender {
  readonly #options: DocumentSenderOptions;
  readonly #backoff: Backoff;
  /** The sources that may have changes, in the order in which they were added. */
  readonly #changed = new Map<string, DocumentKey & { readonly changes: DocumentChanges }>();
  /** The maximum size of an update, after a proxy has rejected larger ones. */
  #maxBytes = Infinity;
  #isRunning = false;
  #isStopped = true;
  #pausedUntil = -Infinity;
  /** The requests that may still follow each other closely, as of the time of the last one. */
  #budget = BURST;
  #savedAt = 0;
  #cancelWait: () => void = () => undefined;

  constructor(options: DocumentSenderOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.platform, options.retryDelay);
  }

  start(): void {
    this.#isStopped = false;
    this.flush();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelWait();
  }

  /**
   * The document may have changes.
   *
   * @param source identifies where the changes come from; a later call replaces them
   */
  add(source: string, key: DocumentKey, changes: DocumentChanges): void {
    this.#changed.set(source, { ...key, changes });
    this.flush();
  }

  /** The source has ended. */
  remove(source: string): void {
    this.#changed.delete(source);
  }

  /** The user may have changed: nothing that was added is sent. */
  reset(): void {
    this.#changed.clear();
  }

  /** Retries now, because the network may be back, unless the server has requested a pause. */
  flush(): void {
    if (this.#isRunning || this.#isStopped) return;
    this.#cancelWait();
    const { platform } = this.#options;
    const wait = this.#pausedUntil - platform.now();
    if (wait > 0) this.#cancelWait = platform.after(wait, () => this.flush());
    else void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    const isDone = await this.#sendNext();
    this.#isRunning = false;
    if (isDone) this.flush();
  }

  /** @returns whether to continue without a delay for retries */
  async #sendNext(): Promise<boolean> {
    const { canSend, prepare, platform } = this.#options;
    if (this.#changed.size === 0 || !canSend()) return false;
    try {
      await prepare();
    } catch (error) {
      this.#retryLater(error);
      return false;
    }
    // From here to the request everything is synchronous, so that the user can't change in between.
    for (const [source, { changes, ...key }] of this.#changed) {
      if (this.#isStopped || !canSend()) return false;
      const update = changes.take(this.#maxBytes);
      if (update === null) {
        this.#changed.delete(source);
        continue;
      }
      this.#pausedUntil = platform.now() + this.#nextInterval();
      return this.#send(key, update);
    }
    return false;
  }

  /** Returns the time until the next request. */
  #nextInterval(): number {
    const now = this.#options.platform.now();
    const saved = (now - this.#savedAt) / SUSTAINED_MS;
    this.#budget = Math.min(BURST, this.#budget + saved) - 1;
    this.#savedAt = now;
    return this.#budget > 0 ? MIN_INTERVAL_MS : SUSTAINED_MS;
  }

  async #send(key: DocumentKey, update: DocumentUpdate): Promise<boolean> {
    const { http, events } = this.#options;
    const { bytes, length, sent, refused } = update;
    const path = `/api/crdt/${encodeURIComponent(key.entity)}/${encodeURIComponent(key.rowId)}`;
    try {
      await http.request("POST", http.author.named(path), { update: toHex(bytes), length });
      this.#backoff.reset();
      sent();
      return true;
    } catch (error) {
      http.author.refreshAfter(error);
      const isGone = error instanceof PylonClientError && GONE.includes(error.code);
      const failure = isGone ? "refused" : writeFailureOf(error);
      if (isTooLargeForProxy(error) && this.#mayShrink(bytes)) {
        this.#maxBytes = Math.max(MIN_UPDATE_BYTES, Math.floor(bytes.length / 2));
        return true;
      }
      if (failure === "refused" && error instanceof PylonClientError) {
        const target = { entity: key.entity, row_id: key.rowId, kind: "update" } as const;
        refused(new MutationError(target, error));
        return true;
      }
      if (failure === "unauthorized") events.emit({ type: "unauthorized" });
      else this.#retryLater(error);
      if (isUnreachable(error)) events.emit({ type: "unreachable" });
      return false;
    }
  }

  /** Whether the next update may be smaller: not if this one could not be made so. */
  #mayShrink({ length }: Uint8Array): boolean {
    return length > MIN_UPDATE_BYTES && length <= this.#maxBytes;
  }

  #retryLater(error: unknown): void {
    const { platform } = this.#options;
    const asked = error instanceof PylonClientError ? (error.retryAfter ?? 0) * 1000 : 0;
    this.#pausedUntil = platform.now() + asked;
    this.#cancelWait();
    this.#cancelWait = platform.after(Math.max(asked, this.#backoff.next()), () => this.flush());
  }
}

/** Whether something between the page and the server limits the size of requests. */
function isTooLargeForProxy(error: unknown): boolean {
  return error instanceof PylonClientError && error.body["http_status"] === 413;
}

function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
