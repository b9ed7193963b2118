import { isRoomJoined, isRoomMembers, type RoomEvent, type RoomPeer } from "@pylonsync/protocol";
import { parseAnswer } from "../connection/answer.ts";
import { Emitter } from "../platform/emitter.ts";
import { PylonClientError } from "../connection/errors.ts";
import type { HttpClient } from "../connection/http.ts";
import type { Platform } from "../platform/platform.ts";

/**
 * The delay before members are reloaded if something happened during a request, whose response may
 * not include it, in milliseconds.
 */
const LOOK_AGAIN_MS = 100;

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
}

/**
 * The number of memberships of this process by server, user and room. The server counts them as
 * one, which only the last may end. A component that is mounted twice has two for a moment.
 */
const stays = new Map<string, number>();

/** A broadcast to a room. */
export type RoomBroadcast = Extract<RoomEvent, { type: "broadcast" }>;

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
  readonly #connection: RoomConnection;
  readonly #interval: number;
  readonly #changed = new Emitter<RoomState>();
  readonly #broadcasts = new Emitter<RoomBroadcast>();
  readonly #stops: readonly (() => void)[];
  #state: RoomState = { peers: [], isConnected: false, error: null };
  #presence: unknown;
  #cancelTimer: () => void = () => undefined;
  #joining: Promise<unknown> = Promise.resolve();
  #isLeft = false;
  #isAsking = false;
  #heard = 0;

  /** @param userId the signed-in user's id, who is excluded from the peers */
  constructor(
    room: string,
    userId: string,
    connection: RoomConnection,
    { initialPresence = {}, heartbeatInterval = 5000 }: RoomOptions = {},
  ) {
    this.room = room;
    this.userId = userId;
    this.#connection = connection;
    this.#presence = initialPresence;
    this.#interval = heartbeatInterval;
    this.#stops = [
      connection.listen((event) => this.#onEvent(event)),
      connection.onListening(() => this.#scheduleRefresh()),
    ];
    this.#count(1);
    void this.#beat(true);
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

  /** Changes this user's presence. @throws PylonClientError */
  async setPresence(data: unknown): Promise<void> {
    this.#presence = data;
    await this.#post("presence", { data });
  }

  /** Broadcasts to all members of the room. @throws PylonClientError */
  async broadcast(topic: string, data: unknown = {}): Promise<void> {
    await this.#post("broadcast", { topic, data });
  }

  /** Leaves the room. If the server is unreachable, the membership expires there. */
  async leave(): Promise<void> {
    if (this.#isLeft) return;
    this.#isLeft = true;
    this.#cancelTimer();
    for (const stop of this.#stops) stop();
    this.#become({ peers: [], isConnected: false, error: null });
    this.#count(-1);
    // A leave request must not overtake the join request.
    await this.#joining;
    if (this.#count(0) === 0) await this.#post("leave", {}).catch(() => undefined);
  }

  /** Loads the members, and joins if this user is not one of them. */
  async #beat(isFirst: boolean): Promise<void> {
    const heard = this.#heard;
    this.#isAsking = true;
    try {
      const peers = isFirst ? await this.#join() : await this.#look();
      if (this.#isLeft) return;
      this.#become({
        peers: peers.filter(({ user_id: id }) => id !== this.userId),
        isConnected: true,
        error: null,
      });
    } catch (cause) {
      if (this.#isLeft) return;
      this.#become({
        // A user without access to the room must not continue to show its members.
        peers: isRefused(cause) ? [] : this.#state.peers,
        isConnected: false,
        error: cause instanceof Error ? cause : new Error(String(cause)),
      });
    }
    this.#isAsking = false;
    this.#cancelTimer = this.#connection.platform.after(
      heard === this.#heard ? this.#interval : Math.min(LOOK_AGAIN_MS, this.#interval),
      () => void this.#beat(!this.#state.isConnected),
    );
  }

  #scheduleRefresh(): void {
    this.#heard += 1;
    if (this.#isAsking) return;
    this.#cancelTimer();
    void this.#beat(!this.#state.isConnected);
  }

  async #join(): Promise<readonly RoomPeer[]> {
    const answer = this.#post("join", { data: this.#presence });
    this.#joining = answer.catch(() => undefined);
    return parseAnswer(isRoomJoined, await answer).snapshot.peers;
  }

  async #look(): Promise<readonly RoomPeer[]> {
    try {
      return parseAnswer(
        isRoomMembers,
        await this.#connection.http.request("GET", `/api/rooms/${encodeURIComponent(this.room)}`),
      ).members;
    } catch (error) {
      // The server has removed this member, for example after the device slept.
      if (isRefused(error)) return this.#join();
      throw error;
    }
  }

  /** @returns the number of memberships after this change */
  #count(change: number): number {
    const key = JSON.stringify([this.#connection.http.baseUrl, this.userId, this.room]);
    const count = (stays.get(key) ?? 0) + change;
    if (count === 0) stays.delete(key);
    else stays.set(key, count);
    return count;
  }

  #post(what: "join" | "leave" | "presence" | "broadcast", body: object): Promise<unknown> {
    return this.#connection.http.request("POST", `/api/rooms/${what}`, {
      room: this.room,
      ...body,
    });
  }

  #onEvent(event: RoomEvent): void {
    if (event.room !== this.room) return;
    if (event.type === "broadcast") {
      this.#broadcasts.emit(event);
      return;
    }
    if (event.type === "snapshot") {
      this.#heard += 1;
      this.#become({
        ...this.#state,
        peers: event.peers.filter(({ user_id: id }) => id !== this.userId),
      });
      return;
    }
    const { user_id: userId } = event;
    if (userId === this.userId) {
      // On another device, or because this user has lost access.
      if (event.type === "leave") this.#scheduleRefresh();
      return;
    }
    this.#heard += 1;
    const { peers } = this.#state;
    const others = peers.filter(({ user_id: id }) => id !== userId);
    if (event.type === "leave") {
      this.#become({ ...this.#state, peers: others });
      return;
    }
    const joinedAt =
      peers.find(({ user_id: id }) => id === userId)?.joined_at ??
      new Date(this.#connection.platform.now()).toISOString();
    this.#become({
      ...this.#state,
      peers: [...others, { user_id: userId, data: event.data ?? null, joined_at: joinedAt }],
    });
  }

  #become(state: RoomState): void {
    this.#state = state;
    this.#changed.emit(state);
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof PylonClientError && error.status === 403;
}
