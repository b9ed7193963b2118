import type { ConnectionIndex } from "../sync/connection-index.ts";
import type { Subscriber } from "../sync/subscriber.ts";
import { disconnectMessage } from "./messages.ts";
import type { RoomMessage, RoomStore, TenantMessage } from "./room-store.ts";

export interface RoomsOptions {
  readonly connections: ConnectionIndex;
  /** Makes the store, which hands its messages to `deliver`. */
  readonly createStore: (deliver: (message: RoomMessage | TenantMessage) => void) => RoomStore;
  readonly onError: (error: unknown) => void;
}

/**
 * Where the rooms and the live connections meet: who is connected stays in its rooms, and what
 * happens there is told to who is in them.
 */
export class Rooms {
  readonly store: RoomStore;
  readonly #connections: ConnectionIndex;
  readonly #onError: (error: unknown) => void;

  constructor({ connections, createStore, onError }: RoomsOptions) {
    this.#connections = connections;
    this.#onError = onError;
    this.store = createStore((message) => this.#deliver(message));
  }

  async start(): Promise<void> {
    this.#connections.listen({
      first: (userId, subscriber) =>
        void this.store.connected(userId, willOf(userId, subscriber)).catch(this.#onError),
      last: (userId, subscriber) =>
        void this.store.disconnected(userId, willOf(userId, subscriber)).catch(this.#onError),
    });
    await this.store.start();
  }

  /**
   * From now on a closed connection says nothing about its user, who only goes to another replica.
   */
  beginStop(): void {
    this.#connections.listen(null);
  }

  async stop(): Promise<void> {
    await this.store.stop();
  }

  #deliver(message: RoomMessage | TenantMessage): void {
    const { text } = message;
    if (message.kind === "tenant") {
      for (const subscriber of this.#connections.ofTenant(message.tenantId)) subscriber.send(text);
      return;
    }
    const told = new Set(this.store.localMembers(message.room));
    // Who has just left learns it on its other devices.
    if (message.kind === "leave") told.add(message.userId);
    for (const userId of told) {
      for (const subscriber of this.#connections.ofUser(userId)) subscriber.send(text);
    }
  }
}

function willOf(userId: string, { id, caller }: Subscriber): TenantMessage {
  return disconnectMessage(caller.tenantId, userId, id);
}
