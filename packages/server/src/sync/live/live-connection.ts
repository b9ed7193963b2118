import type { LiveError, LiveMessage } from "@pylonsync/protocol";
import type { Subscriber } from "../../connections/subscriber.ts";
import type { Subscription } from "../subscriptions/subscription.ts";

/** A connection of version 2, with what it subscribes to. */
export class LiveConnection {
  readonly subscriber: Subscriber;
  /** By the client's ids. */
  readonly #subscriptions = new Map<number, Subscription>();

  constructor(subscriber: Subscriber) {
    this.subscriber = subscriber;
  }

  get size(): number {
    return this.#subscriptions.size;
  }

  get subscriptions(): ReadonlySet<Subscription> {
    return new Set(this.#subscriptions.values());
  }

  has(id: number): boolean {
    return this.#subscriptions.has(id);
  }

  add(id: number, subscription: Subscription): void {
    this.#subscriptions.set(id, subscription);
  }

  /** @returns the subscription, when no other id stands for it any longer */
  delete(id: number): Subscription | null {
    const subscription = this.#subscriptions.get(id);
    this.#subscriptions.delete(id);
    if (subscription === undefined) return null;
    return this.idsOf(subscription).length === 0 ? subscription : null;
  }

  idsOf(subscription: Subscription): number[] {
    return [...this.#subscriptions].flatMap(([id, one]) => (one === subscription ? [id] : []));
  }

  send(message: LiveMessage): void {
    this.subscriber.send(JSON.stringify(message));
  }

  refuse(id: number, error: Omit<LiveError, "type" | "id">): void {
    const { code, message, hint, field } = error;
    this.send({
      type: "error",
      id,
      code,
      message,
      ...(hint === undefined ? {} : { hint }),
      ...(field === undefined ? {} : { field }),
    });
  }
}
