import type { Platform } from "@pylonsync/sync";

/** The first delay before a document is requested again, in milliseconds; it is doubled. */
const FIRST_MS = 500;
const LONGEST_MS = 30_000;
/** After this many requests without an answer, the document is considered missing. */
const MAX_REQUESTS = 3;
/** How long what is written then waits for another request, in milliseconds. */
const WRITE_MS = 2_000;

/** The callbacks of the requests for a document. */
export interface DocumentRequestsOptions {
  readonly after: Platform["after"];
  /** Whether the server can be reached. */
  readonly isLive: () => boolean;
  readonly ask: () => void;
  /** The document is missing, for example because sockets do not work here. */
  readonly onMissing: () => void;
}

/**
 * Requests a document until it arrives: its row may not be on the server yet, and the server does
 * not answer then.
 */
export class DocumentRequests {
  readonly #options: DocumentRequestsOptions;
  #count = 0;
  #cancel: (() => void) | null = null;
  #isHurried = false;

  constructor(options: DocumentRequestsOptions) {
    this.#options = options;
  }

  /** The document is missing. */
  start(): void {
    if (this.#cancel === null)
      this.#schedule(Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(this.#count, MAX_REQUESTS * 2)));
  }

  /** The user has written something that waits for the document. */
  hurry(): void {
    if (this.#count <= MAX_REQUESTS || this.#isHurried) return this.start();
    this.#cancel?.();
    this.#isHurried = true;
    this.#schedule(WRITE_MS);
  }

  /** The document has arrived, or is closed. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#count = 0;
    this.#isHurried = false;
  }

  #schedule(waitMs: number): void {
    const { after, isLive, ask, onMissing } = this.#options;
    this.#cancel = after(waitMs, () => {
      this.#cancel = null;
      this.#isHurried = false;
      if (isLive()) this.#count += 1;
      if (isLive() && this.#count > MAX_REQUESTS) onMissing();
      ask();
      this.start();
    });
  }
}
