import type { Subscriber } from "./subscriber.ts";

/** Most bytes that are published before it is looked at how much waits for each reader. */
const UNCHECKED_BYTES = 32 * 1024;
/**
 * Most bytes that are published in one turn of the event loop: the runtime hands them to the
 * sockets at its end, so that until then nobody sees them wait.
 */
const TURN_BYTES = 32 * 1024;

/**
 * Sends one text to many sockets by one call of the runtime. The runtime drops what a slow reader
 * has no room for, and does not say so: so readers are looked at before that can be.
 */
export class TopicPublisher {
  readonly #publish: (topic: string, text: string) => void;
  readonly #soon: (work: () => void) => void;
  readonly #readers = new Set<Subscriber>();
  #unchecked = 0;
  #inTurn = 0;

  /** @param soon does the work in the next turn of the event loop */
  constructor(publish: (topic: string, text: string) => void, soon: (work: () => void) => void) {
    this.#publish = publish;
    this.#soon = soon;
  }

  /** From now on the reader may be sent to by topics. */
  watch(reader: Subscriber): void {
    this.#readers.add(reader);
  }

  unwatch(reader: Subscriber): void {
    this.#readers.delete(reader);
  }

  /** @returns false where it has to be sent to each: it is large, or this turn has brought much */
  publish(topic: string, text: string): boolean {
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
