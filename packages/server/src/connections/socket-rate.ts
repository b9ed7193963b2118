import { SOCKET_RATE } from "@pylonsync/protocol";

const WINDOW_MS = 1_000;

/**
 * Counts what one socket sends, before anything of it is looked at: what is not understood costs
 * the server as much as what is.
 */
export class SocketRate {
  readonly #now: () => number;
  #endsAt = 0;
  #frames = 0;
  #bytes = 0;

  /** @param now milliseconds, of any beginning */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** @returns whether the socket may send this frame, too */
  take(bytes: number): boolean {
    const now = this.#now();
    if (now >= this.#endsAt) {
      this.#endsAt = now + WINDOW_MS;
      this.#frames = 0;
      this.#bytes = 0;
    }
    this.#frames += 1;
    this.#bytes += bytes;
    return this.#frames <= SOCKET_RATE.frames && this.#bytes <= SOCKET_RATE.bytes;
  }
}
