import { MAX_LIVE_REQUEST_BYTES, MAX_LIVE_REQUEST_MESSAGES } from "@pylonsync/protocol";
import type { HttpClient } from "../http.ts";

/**
 * Sends a client's messages, for a connection without a channel to the server: one request at a
 * time, in order.
 */
export class Outgoing {
  readonly #http: HttpClient;
  readonly #onFailure: (error: unknown) => void;
  readonly #waiting: string[] = [];
  #id: string | null = null;
  #isSending = false;
  readonly #abort = new AbortController();

  /** @param onFailure called when a request failed, which ends the connection */
  constructor(http: HttpClient, onFailure: (error: unknown) => void) {
    this.#http = http;
    this.#onFailure = onFailure;
  }

  /** Sends a message as soon as the connection has an id. */
  send(text: string): void {
    this.#waiting.push(text);
    void this.#flush();
  }

  /** Takes pending messages, as many as fit into one request. */
  take(): unknown[] {
    let bytes = 0;
    let count = 0;
    for (const text of this.#waiting) {
      bytes += text.length;
      if (count > 0 && bytes > MAX_LIVE_REQUEST_BYTES / 3) break;
      if (count === MAX_LIVE_REQUEST_MESSAGES) break;
      count += 1;
    }
    return this.#waiting.splice(0, count).map((text): unknown => JSON.parse(text));
  }

  /** @param id the server's id of the connection */
  named(id: string): void {
    this.#id = id;
    void this.#flush();
  }

  close(): void {
    this.#abort.abort();
    this.#waiting.length = 0;
  }

  async #flush(): Promise<void> {
    if (this.#isSending || this.#id === null) return;
    this.#isSending = true;
    try {
      // Messages of the same tick are sent together.
      await Promise.resolve();
      while (this.#waiting.length > 0)
        await this.#http.request(
          "POST",
          `/api/live/${this.#id}`,
          { messages: this.take() },
          {},
          { signal: this.#abort.signal },
        );
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#onFailure(error);
    }
    this.#isSending = false;
  }
}
