import type { Outbox } from "./outbox.ts";
import type { Subscriber } from "./subscriber.ts";
import type { TopicPublisher } from "./topic-publisher.ts";

/** The number of sockets from which a group is sent to through a topic. */
const MIN_FOR_TOPIC = 16;

let topics = 0;

/** Connections that receive the same messages. */
export class BroadcastGroup implements Iterable<Subscriber> {
  readonly #subscribers = new Set<Subscriber>();
  /** The number of connections that each publisher reaches through the topic. */
  readonly #byPublisher = new Map<TopicPublisher, number>();
  #topic: string | null = null;

  get size(): number {
    return this.#subscribers.size;
  }

  has(subscriber: Subscriber): boolean {
    return this.#subscribers.has(subscriber);
  }

  [Symbol.iterator](): Iterator<Subscriber> {
    return this.#subscribers.values();
  }

  add(subscriber: Subscriber): void {
    if (this.#subscribers.has(subscriber)) return;
    this.#subscribers.add(subscriber);
    if (this.#topic !== null) this.#join(subscriber, this.#topic);
    else if (this.#subscribers.size >= MIN_FOR_TOPIC) {
      this.#topic = `t${(topics += 1)}`;
      for (const one of this.#subscribers) this.#join(one, this.#topic);
    }
  }

  delete(subscriber: Subscriber): void {
    if (!this.#subscribers.delete(subscriber) || this.#topic === null) return;
    this.#part(subscriber, this.#topic);
    if (this.#subscribers.size > 0) return;
    this.#topic = null;
  }

  clear(): void {
    for (const subscriber of [...this.#subscribers]) this.delete(subscriber);
  }

  /**
   * Sends a message to all connections.
   *
   * @param outbox holds the messages to connections that are written to one by one
   */
  send(text: string, outbox?: Outbox): void {
    const topic = this.#topic;
    const reached = new Set<TopicPublisher | null>();
    let count = 0;
    if (topic !== null)
      for (const [publisher, members] of this.#byPublisher)
        if (publisher.publish(topic, text)) {
          reached.add(publisher);
          count += members;
        }
    if (count === this.#subscribers.size) return;
    for (const subscriber of this.#subscribers)
      if (!reached.has(subscriber.publisher))
        if (outbox === undefined) subscriber.send(text);
        else outbox.send(subscriber, text);
  }

  #join(subscriber: Subscriber, topic: string): void {
    const { publisher } = subscriber;
    if (publisher === null) return;
    subscriber.enterTopic(topic);
    this.#byPublisher.set(publisher, (this.#byPublisher.get(publisher) ?? 0) + 1);
  }

  #part(subscriber: Subscriber, topic: string): void {
    const { publisher } = subscriber;
    if (publisher === null) return;
    subscriber.leaveTopic(topic);
    const left = (this.#byPublisher.get(publisher) ?? 1) - 1;
    if (left === 0) this.#byPublisher.delete(publisher);
    else this.#byPublisher.set(publisher, left);
  }
}
