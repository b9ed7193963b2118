import type { Subscriber } from "./subscriber.ts";

/** Called when a user opens the first live connection to this replica, or loses the last one. */
export interface ConnectionListener {
  first(userId: string, subscriber: Subscriber): void;
  last(userId: string, subscriber: Subscriber): void;
}

const NO_SUBSCRIBERS: ReadonlySet<Subscriber> = new Set();

/** The live connections of signed-in callers, by user and by tenant. */
export class ConnectionIndex {
  readonly #byUser = new Map<string, Set<Subscriber>>();
  readonly #byTenant = new Map<string | null, Set<Subscriber>>();
  #listener: ConnectionListener | null = null;

  /** Replaces the previous listener; null for none. */
  listen(listener: ConnectionListener | null): void {
    this.#listener = listener;
  }

  add(subscriber: Subscriber): void {
    const { userId, isAdmin, tenantId } = subscriber.caller;
    if (userId === null && !isAdmin) return;
    addTo(this.#byTenant, tenantId, subscriber);
    if (userId !== null && addTo(this.#byUser, userId, subscriber) === 1)
      this.#listener?.first(userId, subscriber);
  }

  delete(subscriber: Subscriber): void {
    const { userId, tenantId } = subscriber.caller;
    deleteFrom(this.#byTenant, tenantId, subscriber);
    if (userId !== null && deleteFrom(this.#byUser, userId, subscriber) === 0)
      this.#listener?.last(userId, subscriber);
  }

  /** The users with a connection. */
  users(): Iterable<string> {
    return this.#byUser.keys();
  }

  ofUser(userId: string): ReadonlySet<Subscriber> {
    return this.#byUser.get(userId) ?? NO_SUBSCRIBERS;
  }

  ofTenant(tenantId: string | null): ReadonlySet<Subscriber> {
    return this.#byTenant.get(tenantId) ?? NO_SUBSCRIBERS;
  }
}

/** @returns the current number of connections */
function addTo<K>(index: Map<K, Set<Subscriber>>, key: K, subscriber: Subscriber): number {
  const set = index.get(key) ?? new Set();
  index.set(key, set.add(subscriber));
  return set.size;
}

/** @returns the number of remaining connections; undefined if it was not in the index */
function deleteFrom<K>(
  index: Map<K, Set<Subscriber>>,
  key: K,
  subscriber: Subscriber,
): number | undefined {
  const set = index.get(key);
  if (set?.delete(subscriber) !== true) return undefined;
  if (set.size === 0) index.delete(key);
  return set.size;
}
