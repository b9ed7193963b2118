/** The maximum number of rooms in all, and of one user. */
export { MAX_ROOMS, MAX_ROOMS_OF_USER } from "@pylonsync/protocol";

/** A member of a room, as the API shows it. */
export interface Peer {
  readonly user_id: string;
  /** The data that the user published about itself; null for none. */
  readonly data: unknown;
  /** ISO 8601, UTC. */
  readonly joined_at: string;
}

/** A room and its number of members. */
export interface RoomSize {
  readonly name: string;
  readonly members: number;
}

/** A message for users who are connected in a tenant. */
export interface TenantMessage {
  readonly kind: "tenant";
  readonly tenantId: string | null;
  /**
   * Only for members of these rooms, and for the sender's own connections; null: for everyone in
   * the tenant.
   */
  readonly rooms: readonly string[] | null;
  /** The sender; null for the admin. */
  readonly userId: string | null;
  /**
   * `said`: sent by the user. `gone`: the user is gone; only for those who received something from
   * the user.
   */
  readonly about: "said" | "gone";
  /** The JSON that is sent. */
  readonly text: string;
}

/**
 * An event in a room, which is sent to its members. A snapshot contains the current members, and is
 * sent if something may have been missed.
 */
export interface RoomMessage {
  readonly kind: "join" | "leave" | "presence" | "broadcast" | "snapshot";
  readonly room: string;
  /** The user who joined, left or changed; empty for a broadcast and a snapshot. */
  readonly userId: string;
  /** The JSON that is sent. */
  readonly text: string;
}

/**
 * Receives messages for the connections of this replica, in an order that for each room is the same
 * on all replicas.
 */
export type Deliver = (message: RoomMessage | TenantMessage) => void;

/** The result of a broadcast. */
export type BroadcastResult = "sent" | "room_empty" | "not_in_room";

/**
 * The members of rooms, on all replicas. A member is a user in a room. It stays
 *
 * - while the user has a live connection to any replica;
 * - without one, for `idleMs` after its last call about the room;
 * - for `graceMs` after the user's last connection closed, unless there is a new one or another
 *   call.
 *
 * When a replica dies, the members that were connected only to it, and those whose last call it
 * handled, are removed after its lease expires.
 */
export interface RoomStore {
  start(): Promise<void>;
  /** Stops the replica in an orderly way: its members have time to move to another one. */
  stop(): Promise<void>;

  /**
   * @returns the previous members
   * @throws PylonError ROOM_LIMIT_REACHED
   */
  join(room: string, userId: string, data: unknown): Promise<Peer[]>;
  /** @returns whether the user was a member */
  leave(room: string, userId: string): Promise<boolean>;
  /** @returns whether the user is a member */
  setPresence(room: string, userId: string, data: unknown): Promise<boolean>;
  /**
   * @param as the member who sends; null for the admin, who need not be a member
   * @param text the JSON that is sent
   */
  broadcast(room: string, as: string | null, text: string): Promise<BroadcastResult>;
  /**
   * @param as the member who makes the request, for whom it counts as a call; null for the admin
   * @returns null if that user is not a member
   */
  members(room: string, as: string | null): Promise<Peer[] | null>;
  /** @param of the user whose rooms are returned; null for all */
  rooms(of: string | null): Promise<RoomSize[]>;

  /**
   * Called for the user's first connection to this replica.
   *
   * @param will the message that is sent when the user turns out to be gone
   */
  connected(userId: string, will: TenantMessage): Promise<void>;
  /** Called when the user's last connection to this replica has closed. */
  disconnected(userId: string, will: TenantMessage): Promise<void>;
  /** Sends the message to all replicas. */
  send(message: TenantMessage): Promise<void>;

  /** The members of a room among the users that are connected to this replica. */
  localMembers(room: string): Iterable<string>;
  /** The rooms of a user that is connected to this replica. */
  localRooms(userId: string): Iterable<string>;
}

/** Durations, in milliseconds. */
export interface RoomTimes {
  /** How long a member without a connection stays after its last call. */
  readonly idleMs: number;
  /** How long a member stays after its last connection has closed. */
  readonly graceMs: number;
  /** How long a member stays after an orderly stop of its replica. */
  readonly handOverMs: number;
  /** How long the lease of a replica that does not renew it lasts. */
  readonly leaseMs: number;
  /** How often a replica renews its lease and looks for expired members. */
  readonly sweepMs: number;
}

/** The durations that a server uses. */
export const ROOM_TIMES: RoomTimes = {
  idleMs: 120_000,
  graceMs: 5_000,
  handOverMs: 15_000,
  leaseMs: 7_000,
  sweepMs: 1_000,
};
