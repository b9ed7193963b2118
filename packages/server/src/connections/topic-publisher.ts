import type { Subscriber } from "./subscriber.ts";

/** Most bytes that are published before it is looked at how much waits for each reader. */
const UNCHECKED_BYTES = 32 * 1024;

/**
 * Sends one text to many sockets by one call of the runtime. The runtime drops what a slow reader
 * has no room for, and does not say so: so readers are looked at before that can be.
 */
export class TopicPublisher {
  readonly #publish: (topic: string, text: string) => void;
  readonly #readers = new Set<Subscriber>();
  #unchecked = 0;

  constructor(publish: (topic: string, text: string) => void) {
    this.#publish = publish;
  }

  /** From now on the reader may be sent to by topics. */
  watch(reader: Subscriber): void {
    this.#readers.add(reader);
  }

  unwatch(reader: Subscriber): void {
    this.#readers.delete(reader);
  }

  /** @returns false for a text that is too large: it has to be sent to each */
  publish(topic: string, text: string): boolean {
    const bytes = Buffer.byteLength(text);
    if (bytes > UNCHECKED_BYTES) return false;
    this.#unchecked += bytes;
    if (this.#unchecked > UNCHECKED_BYTES) {
      this.#unchecked = bytes;
      for (const reader of this.#readers) reader.checkBacklog();
    }
    this.#publish(topic, text);
    return true;
  }
}
