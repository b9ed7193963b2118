import {
  RoomJoinedSchema,
  RoomMembersSchema,
  type RoomEvent,
  type RoomPeer,
} from "@pylonsync/protocol";
import { parseAnswer } from "../connection/answer.ts";
import { Emitter } from "../platform/emitter.ts";
import { PylonClientError } from "../connection/errors.ts";
import type { HttpClient } from "../connection/http.ts";
import type { Platform } from "../platform/platform.ts";

/**
 * How soon to look again when something happened while an answer was on its way, which it may not
 * know, in milliseconds.
 */
const LOOK_AGAIN_MS = 100;

/** How a stay in a room begins and goes on. */
export interface RoomOptions {
  /** What the others see of this user at first; JSON of at most 16 KiB. Default `{}`. */
  readonly initialPresence?: unknown;
  /**
   * Milliseconds between two looks at who is there; default 5000. In between, the engine's
   * connection tells.
   */
  readonly heartbeatInterval?: number;
}

/** What a room looks like now. The same object comes back until something changes. */
export interface RoomState {
  /** Everybody else who is there. */
  readonly peers: readonly RoomPeer[];
  /** Whether the server answered last time, and this user is in the room. */
  readonly isConnected: boolean;
  readonly error: Error | null;
}

/** How a stay in a room reaches the server. */
export interface RoomConnection {
  readonly http: HttpClient;
  readonly platform: Platform;
  /** Room events of all rooms. @returns stops it */
  readonly listen: (listener: (event: RoomEvent) => void) => () => void;
  /**
   * Tells when events can be heard from now on; what was before must be looked at.
   *
   * @returns stops it
   */
  readonly onListening: (listener: () => void) => () => void;
}

/**
 * How many stays this process has, by server, user and room: for the server they are one, which
 * only the last may end. A component that is mounted twice has two for a moment.
 */
const stays = new Map<string, number>();

/** What somebody sent to a room. */
export type RoomBroadcast = Extract<RoomEvent, { type: "broadcast" }>;

/**
 * A user's stay in a room: it joins when it is made, comes back after a loss, and ends with
 * `leave`.
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

  /** @param userId the signed-in user, who is left out of the peers */
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
      connection.listen((event) => this.#hear(event)),
      connection.onListening(() => this.#lookSoon()),
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
  /** What members send to the room, this user's own too. @returns stops it */
  onBroadcast(listener: (message: RoomBroadcast) => void): () => void {
    return this.#broadcasts.on(listener);
  }

  /** Shows the others something else of this user. @throws PylonClientError */
  async setPresence(data: unknown): Promise<void> {
    this.#presence = data;
    await this.#post("presence", { data });
  }

  /** Sends to everybody in the room. @throws PylonClientError */
  async broadcast(topic: string, data: unknown = {}): Promise<void> {
    await this.#post("broadcast", { topic, data });
  }

  /** Ends the stay. A server that can't be reached finds out by itself. */
  async leave(): Promise<void> {
    if (this.#isLeft) return;
    this.#isLeft = true;
    this.#cancelTimer();
    for (const stop of this.#stops) stop();
    this.#become({ peers: [], isConnected: false, error: null });
    this.#count(-1);
    // A leave that overtakes its join would leave somebody behind.
    await this.#joining;
    if (this.#count(0) === 0) await this.#post("leave", {}).catch(() => undefined);
  }

  /** Looks who is there, and joins where this user is not. */
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
        // Who may not be in the room does not go on to show who is.
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

  #lookSoon(): void {
    this.#heard += 1;
    if (this.#isAsking) return;
    this.#cancelTimer();
    void this.#beat(!this.#state.isConnected);
  }

  async #join(): Promise<readonly RoomPeer[]> {
    const answer = this.#post("join", { data: this.#presence });
    this.#joining = answer.catch(() => undefined);
    return parseAnswer(RoomJoinedSchema, await answer).snapshot.peers;
  }

  async #look(): Promise<readonly RoomPeer[]> {
    try {
      return parseAnswer(
        RoomMembersSchema,
        await this.#connection.http.request("GET", `/api/rooms/${encodeURIComponent(this.room)}`),
      ).members;
    } catch (error) {
      // The server gave us up, after a sleep of this machine for example.
      if (isRefused(error)) return this.#join();
      throw error;
    }
  }

  /** @returns how many stays there are with this change */
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

  #hear(event: RoomEvent): void {
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
      // On another device, or because this user may no longer be here.
      if (event.type === "leave") this.#lookSoon();
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
