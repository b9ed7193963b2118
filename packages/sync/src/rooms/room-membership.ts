import { isRoomJoined, isRoomMembers, type RoomEvent, type RoomPeer } from "@pylonsync/protocol";
import { parseAnswer } from "../connection/answer.ts";
import { PylonClientError } from "../connection/errors.ts";
import { writeFailureOf } from "../outbox/write-failure.ts";
import type { RoomBroadcast, RoomConnection, RoomState } from "./room.ts";

/**
 * The delay before members are reloaded if something happened during a request, whose response may
 * not include it, in milliseconds.
 */
const LOOK_AGAIN_MS = 100;

/**
 * The number of memberships of this process by server, user and room. The server counts them as
 * one, which only the last may end. A component that is mounted twice has two for a moment.
 */
const stays = new Map<string, number>();

/** The membership of a user in a room, and where it is reported. */
export interface RoomMembershipOptions {
  readonly room: string;
  readonly userId: string;
  readonly connection: RoomConnection;
  /** The initial presence of this user. */
  readonly presence: unknown;
  /** The interval at which members are reloaded, in milliseconds. */
  readonly intervalMs: number;
  readonly onState: (state: RoomState) => void;
  readonly onBroadcast: (message: RoomBroadcast) => void;
}

/**
 * The part of a `Room` that communicates with the server: it joins when it is created. A page loads
 * its code with the first room.
 */
export class RoomMembership {
  readonly #options: RoomMembershipOptions;
  readonly #stops: readonly (() => void)[];
  #state: RoomState = { peers: [], isConnected: false, error: null };
  #presence: unknown;
  /** The last presence that the server has accepted, or the initial one. */
  #accepted: unknown;
  /** Whether the server may not have the current presence yet. */
  #isUnsent = false;
  #sending: Promise<void> | null = null;
  #cancelTimer: () => void = () => undefined;
  #joining: Promise<unknown> = Promise.resolve();
  #isLeft = false;
  #isAsking = false;
  #heard = 0;

  constructor(options: RoomMembershipOptions) {
    this.#options = options;
    this.#presence = options.presence;
    this.#accepted = options.presence;
    this.#stops = [
      options.connection.listen((event) => this.#onEvent(event)),
      options.connection.onListening(() => this.#scheduleRefresh()),
    ];
    this.#count(1);
    void this.#beat(true);
  }

  /**
   * Changes this user's presence. What is set during a request is sent after it, as one: an older
   * presence never replaces a newer one. While the server can't be reached, the presence is kept
   * and sent as soon as it can.
   *
   * @throws PylonClientError if the server refuses it
   */
  setPresence(data: unknown): Promise<void> {
    this.#presence = data;
    this.#isUnsent = true;
    this.#sending ??= this.#sendPresence();
    return this.#sending;
  }

  async #sendPresence(): Promise<void> {
    try {
      // The server ignores the presence of a user who is not a member yet.
      await this.#joining;
      let isReachable = true;
      while (this.#isUnsent && isReachable && !this.#isLeft) isReachable = await this.#sendNewest();
    } finally {
      this.#sending = null;
    }
  }

  /** @returns whether the server could be reached */
  async #sendNewest(): Promise<boolean> {
    const data = this.#presence;
    this.#isUnsent = false;
    try {
      await this.#post("presence", { data });
      this.#accepted = data;
    } catch (error) {
      if (writeFailureOf(error) === "later") {
        this.#isUnsent = true;
        return false;
      }
      if (this.#isUnsent) return true;
      // The next join must not send what the server refuses.
      this.#presence = this.#accepted;
      throw error;
    }
    return true;
  }

  /** Broadcasts to all members of the room. @throws PylonClientError */
  async broadcast(topic: string, data: unknown = {}): Promise<void> {
    await this.#post("broadcast", { topic, data });
  }

  /** Leaves the room. If the server is unreachable, the membership expires there. */
  async leave(): Promise<void> {
    this.#isLeft = true;
    this.#cancelTimer();
    for (const stop of this.#stops) stop();
    this.#count(-1);
    // A leave request must not overtake the join request.
    await this.#joining;
    if (this.#count(0) === 0) await this.#post("leave", {}).catch(() => undefined);
  }

  /** Loads the members, and joins if this user is not one of them. */
  async #beat(isFirst: boolean): Promise<void> {
    const heard = this.#heard;
    const { connection, intervalMs } = this.#options;
    this.#isAsking = true;
    try {
      const peers = isFirst ? await this.#join() : await this.#look();
      if (this.#isLeft) return;
      this.#become({ peers: this.#others(peers), isConnected: true, error: null });
      if (this.#isUnsent) this.setPresence(this.#presence).catch(() => undefined);
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
    this.#cancelTimer = connection.platform.after(
      heard === this.#heard ? intervalMs : Math.min(LOOK_AGAIN_MS, intervalMs),
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
    const { connection, room } = this.#options;
    try {
      const path = `/api/rooms/${encodeURIComponent(room)}`;
      return parseAnswer(isRoomMembers, await connection.http.request("GET", path)).members;
    } catch (error) {
      // The server has removed this member, for example after the device slept.
      if (isRefused(error)) return this.#join();
      throw error;
    }
  }

  /** @returns the number of memberships after this change */
  #count(change: number): number {
    const { connection, userId, room } = this.#options;
    const key = JSON.stringify([connection.http.baseUrl, userId, room]);
    const count = (stays.get(key) ?? 0) + change;
    if (count === 0) stays.delete(key);
    else stays.set(key, count);
    return count;
  }

  #post(what: "join" | "leave" | "presence" | "broadcast", body: object): Promise<unknown> {
    const { connection, room } = this.#options;
    return connection.http.request("POST", `/api/rooms/${what}`, { room, ...body });
  }

  #onEvent(event: RoomEvent): void {
    const { connection, room, userId: ownId, onBroadcast } = this.#options;
    if (event.room !== room) return;
    if (event.type === "broadcast") return onBroadcast(event);
    if (event.type === "snapshot") {
      this.#heard += 1;
      return this.#become({ ...this.#state, peers: this.#others(event.peers) });
    }
    const { user_id: userId } = event;
    if (userId === ownId) {
      // On another device, or because this user has lost access.
      if (event.type === "leave") this.#scheduleRefresh();
      return;
    }
    this.#heard += 1;
    const { peers } = this.#state;
    const others = peers.filter(({ user_id: id }) => id !== userId);
    if (event.type === "leave") return this.#become({ ...this.#state, peers: others });
    const joinedAt =
      peers.find(({ user_id: id }) => id === userId)?.joined_at ??
      new Date(connection.platform.now()).toISOString();
    this.#become({
      ...this.#state,
      peers: [...others, { user_id: userId, data: event.data ?? null, joined_at: joinedAt }],
    });
  }

  /** Returns the members other than this user. */
  #others(peers: readonly RoomPeer[]): readonly RoomPeer[] {
    return peers.filter(({ user_id: id }) => id !== this.#options.userId);
  }

  #become(state: RoomState): void {
    this.#state = state;
    this.#options.onState(state);
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof PylonClientError && error.status === 403;
}
