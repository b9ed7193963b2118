/** Most rooms in all, and of one user. */
export { MAX_ROOMS, MAX_ROOMS_OF_USER } from "@pylonsync/protocol";

/** A member of a room, as the API shows it. */
export interface Peer {
  readonly user_id: string;
  /** What the user said about itself; null for nothing. */
  readonly data: unknown;
  /** ISO 8601, UTC. */
  readonly joined_at: string;
}

/** A room and how many are in it. */
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
  /** Whom it is from; null for the admin. */
  readonly userId: string | null;
  /** `said`: by the user. `gone`: of the user, only for those who were told what the user said. */
  readonly about: "said" | "gone";
  /** The JSON that goes out. */
  readonly text: string;
}

/**
 * What happened in a room; its members are told. A snapshot says who is there, when something may
 * have been missed.
 */
export interface RoomMessage {
  readonly kind: "join" | "leave" | "presence" | "broadcast" | "snapshot";
  readonly room: string;
  /** Who joined, left or changed; empty for a broadcast and a snapshot. */
  readonly userId: string;
  /** The JSON that goes out. */
  readonly text: string;
}

/**
 * Takes messages for connections that this replica has, in an order that for each room is the same
 * on all replicas.
 */
export type Deliver = (message: RoomMessage | TenantMessage) => void;

/** What became of a broadcast. */
export type BroadcastResult = "sent" | "room_empty" | "not_in_room";

/**
 * Who is in which room, on all replicas. A member is a user in a room. It stays
 *
 * - while the user has a live connection to any replica;
 * - without one, for `idleMs` after its last call about the room;
 * - for `graceMs` after the user's last connection closed, unless there is a new one or another
 *   call.
 *
 * A replica that dies takes with it, after its lease, those who were connected to it alone, and
 * those whose last call it answered.
 */
export interface RoomStore {
  start(): Promise<void>;
  /** The replica stops in order: its members are left time to go to another one. */
  stop(): Promise<void>;

  /**
   * @returns who was there before
   * @throws PylonError ROOM_LIMIT_REACHED
   */
  join(room: string, userId: string, data: unknown): Promise<Peer[]>;
  /** @returns whether the user was there */
  leave(room: string, userId: string): Promise<boolean>;
  /** @returns whether the user is there */
  setPresence(room: string, userId: string, data: unknown): Promise<boolean>;
  /**
   * @param as the member who sends; null for the admin, who need not be one
   * @param text the JSON that goes out
   */
  broadcast(room: string, as: string | null, text: string): Promise<BroadcastResult>;
  /**
   * @param as the member who asks, for whom it counts as a call; null for the admin
   * @returns null when they are not in it
   */
  members(room: string, as: string | null): Promise<Peer[] | null>;
  /** @param of whose rooms; null for all */
  rooms(of: string | null): Promise<RoomSize[]>;

  /**
   * The user's first connection to this replica.
   *
   * @param will what is sent when the user turns out to be gone
   */
  connected(userId: string, will: TenantMessage): Promise<void>;
  /** The user's last connection to this replica has closed. */
  disconnected(userId: string, will: TenantMessage): Promise<void>;
  /** Sends to all replicas. */
  send(message: TenantMessage): Promise<void>;

  /** The members of a room among the users that are connected to this replica. */
  localMembers(room: string): Iterable<string>;
  /** The rooms of a user that is connected to this replica. */
  localRooms(userId: string): Iterable<string>;
}

/** How long things last, in milliseconds. */
export interface RoomTimes {
  /** A member without a connection, after its last call. */
  readonly idleMs: number;
  /** A member whose last connection has closed. */
  readonly graceMs: number;
  /** A member whose replica stops in order. */
  readonly handOverMs: number;
  /** A replica that says nothing. */
  readonly leaseMs: number;
  /** How often a replica renews its lease and looks for members whose time is over. */
  readonly sweepMs: number;
}

/** The times of a server. */
export const ROOM_TIMES: RoomTimes = {
  idleMs: 120_000,
  graceMs: 5_000,
  handOverMs: 15_000,
  leaseMs: 7_000,
  sweepMs: 1_000,
};
