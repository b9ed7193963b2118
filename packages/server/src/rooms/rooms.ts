import { MAX_RECENT_SENDERS } from "@pylonsync/protocol";
import type { ConnectionIndex } from "../connections/connection-index.ts";
import type { Subscriber } from "../connections/subscriber.ts";
import type { Platform } from "../platform.ts";
import type { RoomRules } from "../policy/room-rules.ts";
import { disconnectMessage } from "./messages.ts";
import { RoomGuard } from "./room-guard.ts";
import { RoomWatch, type RoomWatchOptions } from "./room-watch.ts";
import type { RoomMessage, RoomStore, TenantMessage } from "./room-store.ts";

/** What rooms need to deliver messages. */
export interface RoomsOptions {
  readonly connections: ConnectionIndex;
  /** Creates the store, which passes its messages to `deliver`. */
  readonly createStore: (deliver: (message: RoomMessage | TenantMessage) => void) => RoomStore;
  /** The rules about what callers may do in rooms. */
  readonly rules: () => RoomRules;
  /** The store of the rows that rules look at. */
  readonly rows: RoomWatchOptions["store"];
  readonly platform: Pick<Platform, "now" | "after">;
  readonly onError: (error: unknown) => void;
}

/**
 * Connects the rooms with the live connections: connected users stay in their rooms, and receive
 * what happens there.
 */
export class Rooms {
  readonly store: RoomStore;
  readonly guard: RoomGuard;
  readonly #connections: ConnectionIndex;
  readonly #watch: RoomWatch;
  readonly #onError: (error: unknown) => void;
  readonly #recentSenders = new RecentSenders();

  constructor({ connections, createStore, rules, rows, platform, onError }: RoomsOptions) {
    this.#connections = connections;
    this.#onError = onError;
    this.store = createStore((message) => this.#deliver(message));
    this.guard = new RoomGuard(rules, platform.now);
    this.#watch = new RoomWatch({
      store: rows,
      rooms: this.store,
      connections,
      rules,
      guard: this.guard,
      platform,
      onError,
    });
  }

  async start(): Promise<void> {
    this.#connections.listen({
      first: (userId, subscriber) =>
        void this.store
          .connected(userId, disconnectMessageOf(userId, subscriber))
          .then(() => this.#watch.came(userId))
          .catch(this.#onError),
      last: (userId, subscriber) =>
        void this.store
          .disconnected(userId, disconnectMessageOf(userId, subscriber))
          .catch(this.#onError),
    });
    await this.store.start();
    this.#watch.start();
  }

  /**
   * From now on a closed connection does not affect its user, who only moves to another replica.
   */
  beginStop(): void {
    this.#connections.listen(null);
  }

  async stop(): Promise<void> {
    this.#watch.stop();
    await this.store.stop();
  }

  #deliver(message: RoomMessage | TenantMessage): void {
    if (message.kind === "tenant") {
      this.#deliverToTenant(message);
      return;
    }
    const { text } = message;
    const recipients = new Set(this.store.localMembers(message.room));
    // A user who has just left is notified on its other devices.
    if (message.kind === "leave") recipients.add(message.userId);
    for (const userId of recipients) {
      for (const subscriber of this.#connections.ofUser(userId)) subscriber.send(text);
    }
  }

  /**
   * The message that a user is gone is sent to the connections that received something from the
   * user.
   */
  #deliverToTenant(message: TenantMessage): void {
    const { userId, about, text } = message;
    for (const subscriber of this.#audienceOf(message)) {
      if (userId !== null && about === "said") this.#recentSenders.add(subscriber, userId);
      if (userId !== null && about === "gone" && !this.#recentSenders.remove(subscriber, userId))
        continue;
      subscriber.send(text);
    }
  }

  *#audienceOf({ tenantId, rooms, userId }: TenantMessage): Iterable<Subscriber> {
    if (rooms === null) {
      yield* this.#connections.ofTenant(tenantId);
      return;
    }
    const users = new Set(userId === null ? [] : [userId]);
    for (const room of rooms) for (const member of this.store.localMembers(room)) users.add(member);
    for (const user of users)
      for (const subscriber of this.#connections.ofUser(user))
        if (subscriber.caller.tenantId === tenantId) yield subscriber;
  }
}

/** The users from whom a connection received something, the newest last. */
class RecentSenders {
  readonly #sendersBySubscriber = new WeakMap<Subscriber, Set<string>>();

  add(subscriber: Subscriber, userId: string): void {
    const users = this.#sendersBySubscriber.get(subscriber) ?? new Set();
    this.#sendersBySubscriber.set(subscriber, users);
    users.delete(userId);
    users.add(userId);
    const [oldest] = users;
    if (users.size > MAX_RECENT_SENDERS && oldest !== undefined) users.delete(oldest);
  }

  /** @returns whether it was known */
  remove(subscriber: Subscriber, userId: string): boolean {
    return this.#sendersBySubscriber.get(subscriber)?.delete(userId) === true;
  }
}

function disconnectMessageOf(userId: string, { id, caller }: Subscriber): TenantMessage {
  return disconnectMessage(caller.tenantId, userId, id);
}
