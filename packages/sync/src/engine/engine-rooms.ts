import type { PresenceMessage, RoomEvent, TopicMessage } from "@pylonsync/protocol";
import type { HttpClient } from "../connection/http.ts";
import type { PeerMessage } from "../connection/transport/transport.ts";
import { Emitter } from "../platform/emitter.ts";
import type { Platform } from "../platform/platform.ts";
import { Room, type RoomOptions } from "../rooms/room.ts";

/** How an engine's rooms reach the others. */
export interface EngineRoomsOptions {
  readonly http: HttpClient;
  readonly platform: Platform;
  /** Sends a message over the live connection; without one it is dropped. */
  readonly send: (text: string) => void;
}

/**
 * What users say to each other, and is in no row: rooms, presence and topics.
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
   * Joins a room, until `leave` of what it returns.
   *
   * @param userId the signed-in user, who is left out of the peers
   * @param options `http`: calls with another token or another server
   */
  join(
    room: string,
    userId: string,
    options: RoomOptions & { readonly http?: HttpClient } = {},
  ): Room {
    const { http = this.#options.http } = options;
    const connection = {
      http,
      platform: this.#options.platform,
      listen: (listener: (event: RoomEvent) => void) => this.onEvent(listener),
      onListening: (listener: () => void) => this.#listening.on(listener),
    };
    return new Room(room, userId, connection, options);
  }

  /** Told what happens in the rooms that this user is in. @returns an unsubscribe function */
  onEvent(listener: (event: RoomEvent) => void): () => void {
    return this.#events.on(listener);
  }

  /**
   * Tells those who are in a room with this user something about it, over the socket; everyone in
   * the tenant where the app's `peerMessages` say so. While there is no socket it is dropped.
   */
  setPresence(data: unknown): void {
    this.#options.send(JSON.stringify({ type: "presence", event: "update", data }));
  }
  /**
   * Told what other users say about themselves, and who has gone; this user's own too.
   *
   * @returns an unsubscribe function
   */
  onPresence(listener: (message: PresenceMessage) => void): () => void {
    return this.#presence.on(listener);
  }

  /** Sends to the same users, over the socket. While there is none it is dropped. */
  publishTopic(topic: string, data: unknown): void {
    this.#options.send(JSON.stringify({ type: "topic", topic, data }));
  }
  /** Told what other users publish, this user's own too. @returns an unsubscribe function */
  onTopic(listener: (message: TopicMessage) => void): () => void {
    return this.#topics.on(listener);
  }

  /** For the engine: a message came. */
  take(message: PeerMessage): void {
    if (message.type === "topic") this.#topics.emit(message);
    else if ("room" in message) this.#events.emit(message);
    else this.#presence.emit(message);
  }
  /** For the engine: a live connection hears everything from now on. */
  listening(): void {
    this.#listening.emit();
  }
}
