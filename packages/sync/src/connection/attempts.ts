import { Backoff } from "../platform/backoff.ts";
import type { Platform } from "../platform/platform.ts";
import { NEXT_TRANSPORT, type EndReason, type TransportType } from "./transport/transport.ts";

/** After this time a connection counts as stable, and the backoff is reset. */
const STABLE_MS = 5_000;
/** The number of connections in a row that bring nothing before the next transport is tried. */
const MAX_MISSES = 2;

/** Decides which transport a connection tries next, and when. */
export class Attempts {
  readonly #now: Platform["now"];
  readonly #backoff: Backoff;
  readonly #first: TransportType;
  readonly #onFallBack: () => void;
  #transport: TransportType;
  #misses = 0;
  #openedAt = Infinity;
  /** Whether anything was received over the connection. */
  #isHeard = false;

  /**
   * @param first the preferred transport
   * @param reconnectDelay the range of the first delay, in milliseconds
   * @param onFallBack called when the transport changes
   */
  constructor(
    platform: Platform,
    first: TransportType,
    reconnectDelay: number,
    onFallBack: () => void = () => undefined,
  ) {
    this.#now = platform.now;
    this.#backoff = new Backoff(platform, reconnectDelay);
    this.#first = this.#transport = first;
    this.#onFallBack = onFallBack;
  }

  get transport(): TransportType {
    return this.#transport;
  }

  reset(): void {
    this.#backoff.reset();
    this.#transport = this.#first;
    this.#misses = 0;
    this.#openedAt = Infinity;
  }

  /** Reports that a connection was accepted. A proxy may do that, and pass nothing on. */
  accepted(): void {
    this.#openedAt = this.#now();
    this.#isHeard = false;
  }

  /** Reports that the server's first message has arrived: the transport works here. */
  opened(): void {
    if (this.#openedAt === Infinity) this.#openedAt = this.#now();
    this.#isHeard = true;
    this.#misses = 0;
  }

  /** Reports that a connection has ended, or could not be opened. */
  ended(why: EndReason): void {
    const livedMs = this.#now() - this.#openedAt;
    const isSilent = livedMs >= STABLE_MS && !this.#isHeard;
    this.#openedAt = Infinity;
    if (why === "lost" && (isSilent || livedMs < 0)) this.#misses += 1;
    else if (livedMs >= STABLE_MS || why === "resync") this.#backoff.reset();
    else if (livedMs >= 0) this.#backoff.limitAttempts();
    if (this.#misses >= MAX_MISSES) this.fallBack();
  }

  /** Switches to the next transport, because this one does not work here. */
  fallBack(): void {
    this.#misses = 0;
    this.#transport = NEXT_TRANSPORT[this.#transport] ?? this.#first;
    this.#onFallBack();
  }

  /** Returns the delay before the next attempt, in milliseconds. */
  next(): number {
    return this.#backoff.next();
  }
}
