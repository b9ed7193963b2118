import type { Subscriber } from "./subscriber.ts";

/** The maximum number of bytes published before the queue of each reader is checked. */
const UNCHECKED_BYTES = 32 * 1024;
/**
 * The maximum number of bytes published in one turn of the event loop: the runtime passes them to
 * the sockets at its end, so that until then no queue shows them.
 */
const TURN_BYTES = 32 * 1024;
/** The number of readers with held messages from which these are sent. */
const MAX_HOLDING = 1_000;

/**
 * Sends one message to many sockets with one call of the runtime. The runtime silently drops
 * messages for which a slow reader has no room, so readers are checked before that can happen.
 */
export class TopicPublisher {
  readonly #publish: (topic: string, text: string) => void;
  readonly #soon: (work: () => void) => void;
  readonly #readers = new Set<Subscriber>();
  readonly #holding = new Set<Subscriber>();
  #isReleasing = false;
  #unchecked = 0;
  #inTurn = 0;

  /** @param soon runs the work in the next turn of the event loop */
  constructor(publish: (topic: string, text: string) => void, soon: (work: () => void) => void) {
    this.#publish = publish;
    this.#soon = soon;
  }

  /** From now on the reader may be reached through topics. */
  watch(reader: Subscriber): void {
    this.#readers.add(reader);
  }

  unwatch(reader: Subscriber): void {
    this.#readers.delete(reader);
  }

  /** The reader has held messages, which are sent at the end of the turn, or with `releaseHeld`. */
  holds(reader: Subscriber): void {
    this.#holding.add(reader);
    if (this.#holding.size > MAX_HOLDING) return this.releaseHeld();
    if (this.#isReleasing) return;
    this.#isReleasing = true;
    this.#soon(() => {
      this.#isReleasing = false;
      this.releaseHeld();
    });
  }

  /** Sends the held messages of all readers. */
  releaseHeld(): void {
    if (this.#holding.size === 0) return;
    for (const reader of this.#holding) reader.releaseHeld();
    this.#holding.clear();
  }

  /** @returns false if each must be sent to: the message, or the volume of this turn, is large */
  publish(topic: string, text: string): boolean {
    // They precede this message.
    this.releaseHeld();
    const bytes = Buffer.byteLength(text);
    if (this.#inTurn + bytes > TURN_BYTES) return false;
    if (this.#inTurn === 0)
      this.#soon(() => {
        this.#inTurn = 0;
      });
    this.#inTurn += bytes;
    this.#unchecked += bytes;
    if (this.#unchecked > UNCHECKED_BYTES) {
      this.#unchecked = bytes;
      for (const reader of this.#readers) reader.checkBacklog();
    }
    this.#publish(topic, text);
    return true;
  }
}
