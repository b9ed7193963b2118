import type { RoomEvent, RoomPeer } from "@pylonsync/protocol";
import { codeNotLoaded } from "../connection/errors.ts";
import type * as Extras from "../connection/extras.ts";
import type { HttpClient } from "../connection/http.ts";
import { Emitter } from "../platform/emitter.ts";
import type { Platform } from "../platform/platform.ts";
import type { RoomMembership } from "./room-membership.ts";

/** The options of a membership in a room. */
export interface RoomOptions {
  /** The initial presence of this user; JSON of at most 16 KiB. Default `{}`. */
  readonly initialPresence?: unknown;
  /**
   * The interval at which members are reloaded, in milliseconds; default 5000. In between, the
   * engine's connection reports changes.
   */
  readonly heartbeatInterval?: number;
}

/** The state of a room. The object is stable until something changes. */
export interface RoomState {
  /** All other members. */
  readonly peers: readonly RoomPeer[];
  /**
   * Whether the last request succeeded, and this user is a member. Broadcasts are received while
   * the engine's `status.connection` is `live`.
   */
  readonly isConnected: boolean;
  readonly error: Error | null;
}

/** How a room reaches the server. */
export interface RoomConnection {
  readonly http: HttpClient;
  readonly platform: Platform;
  /** Listens to events of all rooms. @returns an unsubscribe function */
  readonly listen: (listener: (event: RoomEvent) => void) => () => void;
  /**
   * Called when events are received from now on; earlier ones must be loaded.
   *
   * @returns an unsubscribe function
   */
  readonly onListening: (listener: () => void) => () => void;
  /** Loads the code of memberships. @throws Error if it can't be loaded now */
  readonly load: () => Promise<Pick<typeof Extras, "RoomMembership">>;
}

/** A broadcast to a room. */
export type RoomBroadcast = Extract<RoomEvent, { type: "broadcast" }>;

const OUTSIDE: RoomState = { peers: [], isConnected: false, error: null };

/**
 * A user's membership in a room: it joins when it is created, rejoins after a connection loss, and
 * ends with `leave`.
 *
 * @example
 * const room = engine.joinRoom("document-1", userId, { initialPresence: { cursor: null } });
 * room.onChange(({ peers }) => render(peers));
 * await room.leave();
 */
export class Room {
  readonly room: string;
  readonly userId: string;
  readonly #changed = new Emitter<RoomState>();
  readonly #broadcasts = new Emitter<RoomBroadcast>();
  readonly #join: () => Promise<RoomMembership | null>;
  #state = OUTSIDE;
  #presence: unknown;
  /** Rejected if its code could not be loaded; null if the room was left before. */
  #membership: Promise<RoomMembership | null>;
  #isLeft = false;

  /** @param userId the signed-in user's id, who is excluded from the peers */
  constructor(
    room: string,
    userId: string,
    connection: RoomConnection,
    { initialPresence: presence = {}, heartbeatInterval: intervalMs = 5000 }: RoomOptions = {},
  ) {
    this.room = room;
    this.userId = userId;
    this.#presence = presence;
    const onState = (state: RoomState): void => {
      if (!this.#isLeft) this.#become(state);
    };
    const onBroadcast = (message: RoomBroadcast): void => this.#broadcasts.emit(message);
    this.#join = async () => {
      const { RoomMembership: Membership } = await connection.load().catch((cause: unknown) => {
        const error = codeNotLoaded(cause);
        if (!this.#isLeft) this.#become({ ...OUTSIDE, error });
        connection.platform.after(intervalMs, () => {
          if (!this.#isLeft) this.#membership = this.#start();
        });
        throw error;
      });
      const to = { room, userId, connection, intervalMs, onState, onBroadcast };
      return this.#isLeft ? null : new Membership({ ...to, presence: this.#presence });
    };
    this.#membership = this.#start();
  }

  get state(): RoomState {
    return this.#state;
  }
  onChange(listener: (state: RoomState) => void): () => void {
    return this.#changed.on(listener);
  }
  /** Listens to broadcasts, including this user's own. @returns an unsubscribe function */
  onBroadcast(listener: (message: RoomBroadcast) => void): () => void {
    return this.#broadcasts.on(listener);
  }

  /**
   * Changes this user's presence. If the server can't be reached, it is sent as soon as it can.
   *
   * @returns a promise that resolves once the server has this presence, or a newer one, or can't be
   *   reached
   * @throws PylonClientError if the server refuses it
   */
  async setPresence(data: unknown): Promise<void> {
    this.#presence = data;
    // Without its code, the state has the error; the membership starts later with this presence.
    await (await this.#membership.catch(() => null))?.setPresence(data);
  }

  /** Broadcasts to all members of the room. @throws PylonClientError */
  async broadcast(topic: string, data: unknown = {}): Promise<void> {
    await (await this.#membership)?.broadcast(topic, data);
  }

  /** Leaves the room. If the server is unreachable, the membership expires there. */
  async leave(): Promise<void> {
    if (this.#isLeft) return;
    this.#isLeft = true;
    this.#become(OUTSIDE);
    await (await this.#membership.catch(() => null))?.leave();
  }

  #start(): Promise<RoomMembership | null> {
    const membership = this.#join();
    // The state has the error.
    membership.catch(() => undefined);
    return membership;
  }

  #become(state: RoomState): void {
    this.#state = state;
    this.#changed.emit(state);
  }
}
