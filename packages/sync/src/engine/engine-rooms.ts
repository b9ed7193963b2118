import type { PresenceMessage, RoomEvent, TopicMessage } from "@pylonsync/protocol";
import type * as Extras from "../connection/extras.ts";
import type { HttpClient } from "../connection/http.ts";
import type { PeerMessage } from "../connection/transport/transport.ts";
import { Emitter } from "../platform/emitter.ts";
import type { Platform } from "../platform/platform.ts";
import { Room, type RoomOptions } from "../rooms/room.ts";

/** The dependencies of an engine's rooms. */
export interface EngineRoomsOptions {
  readonly http: HttpClient;
  readonly platform: Platform;
  /** Sends a message over the live connection; without one it is dropped. */
  readonly send: (text: string) => void;
  /** Loads the code of memberships. @throws Error if it can't be loaded now */
  readonly load: () => Promise<typeof Extras>;
}

/**
 * Messages between users that do not concern rows: rooms, presence and topics.
 *
 * @example
 * const room = engine.rooms.join("document-1", userId);
 * room.onChange(({ peers }) => render(peers));
 * engine.rooms.publishTopic("wave", { to: "everyone" });
 */
export class EngineRooms {
  readonly #options: EngineRoomsOptions;
  readonly #presence = new Emitter<PresenceMessage>();
  readonly #topics = new Emitter<TopicMessage>();
  readonly #events = new Emitter<RoomEvent>();
  readonly #listening = new Emitter<void>();

  constructor(options: EngineRoomsOptions) {
    this.#options = options;
  }

  /**
   * Joins a room, until `leave` of the returned room is called.
   *
   * @param userId the signed-in user's id, who is excluded from the peers
   * @param options `http`: sends requests with another token or to another server
   */
  join(
    room: string,
    userId: string,
    options: RoomOptions & { readonly http?: HttpClient } = {},
  ): Room {
    const { platform, load } = this.#options;
    const { http = this.#options.http } = options;
    const connection = {
      http,
      platform,
      load,
      listen: (listener: (event: RoomEvent) => void) => this.onEvent(listener),
      onListening: (listener: () => void) => this.#listening.on(listener),
    };
    return new Room(room, userId, connection, options);
  }

  /** Listens to events of all rooms of this user. @returns an unsubscribe function */
  onEvent(listener: (event: RoomEvent) => void): () => void {
    return this.#events.on(listener);
  }

  /**
   * Sends presence data over the socket to the members of this user's rooms, or to all users in the
   * tenant with the app's `peerMessages: "tenant"`. Without a socket it is dropped.
   */
  setPresence(data: unknown): void {
    this.#options.send(JSON.stringify({ type: "presence", event: "update", data }));
  }
  /**
   * Listens to the presence and the disconnects of other users, and of this user's other
   * connections.
   *
   * @returns an unsubscribe function
   */
  onPresence(listener: (message: PresenceMessage) => void): () => void {
    return this.#presence.on(listener);
  }

  /** Publishes a message to the same users over the socket. Without one it is dropped. */
  publishTopic(topic: string, data: unknown): void {
    this.#options.send(JSON.stringify({ type: "topic", topic, data }));
  }
  /** Listens to topic messages, including this user's own. @returns an unsubscribe function */
  onTopic(listener: (message: TopicMessage) => void): () => void {
    return this.#topics.on(listener);
  }

  /** For the engine: handles a message. */
  take(message: PeerMessage): void {
    if (message.type === "topic") this.#topics.emit(message);
    else if ("room" in message) this.#events.emit(message);
    else this.#presence.emit(message);
  }
  /** For the engine: a live connection receives all events from now on. */
  listening(): void {
    this.#listening.emit();
  }
}
