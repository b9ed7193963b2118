import type { Subscriber } from "./subscriber.ts";
import type { TopicPublisher } from "./topic-publisher.ts";

/**
 * The messages of one delivery, in the order in which they are sent. A socket that receives several
 * of them is written to once: a write costs as much as dozens of messages.
 */
export class Outbox {
  readonly #publishers = new Set<TopicPublisher>();

  send(subscriber: Subscriber, text: string): void {
    const publisher = subscriber.hold(text);
    if (publisher !== null) this.#publishers.add(publisher);
  }

  /** Called at the end of the delivery. */
  flush(): void {
    if (this.#publishers.size === 0) return;
    for (const publisher of this.#publishers) publisher.releaseHeld();
    this.#publishers.clear();
  }
}
