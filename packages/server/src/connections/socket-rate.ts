import { SOCKET_RATE } from "@pylonsync/protocol";

const WINDOW_MS = 1_000;

/**
 * Counts the frames of one socket before they are parsed, because an invalid frame costs the server
 * as much as a valid one.
 */
export class SocketRate {
  readonly #now: () => number;
  #endsAt = 0;
  #frames = 0;
  #bytes = 0;

  /** @param now a monotonic time in milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** @returns whether the socket may send this frame as well */
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
