import type { LiveError, LiveMessage } from "@pylonsync/protocol";
import type { Subscriber } from "../../connections/subscriber.ts";
import type { SubscriptionWeight } from "./subscription-weight.ts";

/** A subscription of a connection: rows, or a live function. */
export interface Subscribed {
  /** Its number in messages. */
  readonly number: number;
}

/** A connection of version 2, with its subscriptions. */
export class LiveConnection {
  readonly subscriber: Subscriber;
  /** By the client's ids. */
  readonly #subscriptions = new Map<number, Subscribed>();
  readonly #weights = new Map<number, SubscriptionWeight>();

  constructor(subscriber: Subscriber) {
    this.subscriber = subscriber;
  }

  get size(): number {
    return this.#subscriptions.size;
  }

  /** The weight of all subscriptions. */
  get weight(): SubscriptionWeight {
    let [characters, searches] = [0, 0];
    for (const one of this.#weights.values()) {
      characters += one.characters;
      searches += one.searches;
    }
    return { characters, searches };
  }

  get subscriptions(): ReadonlySet<Subscribed> {
    return new Set(this.#subscriptions.values());
  }

  has(id: number): boolean {
    return this.#subscriptions.has(id);
  }

  add(id: number, subscription: Subscribed): void {
    this.#subscriptions.set(id, subscription);
  }

  weigh(id: number, weight: SubscriptionWeight): void {
    if (this.has(id)) this.#weights.set(id, weight);
  }

  /** @returns the subscription if no other id refers to it any longer */
  delete(id: number): Subscribed | null {
    const subscription = this.#subscriptions.get(id);
    this.#subscriptions.delete(id);
    this.#weights.delete(id);
    if (subscription === undefined) return null;
    return this.idsOf(subscription).length === 0 ? subscription : null;
  }

  idsOf(subscription: Subscribed): number[] {
    return [...this.#subscriptions].flatMap(([id, one]) => (one === subscription ? [id] : []));
  }

  /**
   * Replaces a subscription by another one.
   *
   * @returns the ids that refer to it
   */
  replace(former: Subscribed, next: Subscribed): readonly number[] {
    const ids = this.idsOf(former);
    for (const id of ids) this.#subscriptions.set(id, next);
    return ids;
  }

  send(message: LiveMessage): void {
    this.subscriber.send(JSON.stringify(message));
  }

  refuse(id: number, error: Omit<LiveError, "type" | "id">): void {
    const { code, message, hint, field, retry_after_secs } = error;
    this.send({
      type: "error",
      id,
      code,
      message,
      ...(hint === undefined ? {} : { hint }),
      ...(field === undefined ? {} : { field }),
      ...(retry_after_secs === undefined ? {} : { retry_after_secs }),
    });
  }
}
