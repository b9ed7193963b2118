import { joinMessage, presenceMessage, toPeer } from "../messages.ts";
import type {
  BroadcastResult,
  Peer,
  RoomMessage,
  RoomSize,
  RoomTimes,
  TenantMessage,
} from "../room-store.ts";
import type { Member } from "../memory/room-table.ts";

/** A member as the backend stores it. `name`: the user, or in the records of one user the room. */
export interface StoredMember {
  readonly name: string;
  readonly data: unknown;
  /** Seconds since 1970. */
  readonly joinedAt: number;
}

/**
 * A message of the channel. `origin`: the replica that caused it; for a leave, the replica whose
 * lease expired.
 */
export type ChannelMessage =
  | TenantMessage
  | (RoomMessage & { readonly origin: string; readonly joinedAt: number });

/**
 * The state that the replicas share: the members of each room, the connections of users to
 * replicas, and a channel on which all of them receive each change.
 *
 * - A change and its message are atomic. All replicas receive the messages of a room in the order
 *   of its changes.
 * - Calls for one user are executed in the order in which they were made, and so are the messages
 *   to one tenant.
 * - A call rejects with a PylonError if it is refused (nothing is lost), and with any other error
 *   if the backend can't be relied on now.
 * - Every call that would make something depend on a replica whose lease has expired and was
 *   removed rejects, until the replica enters again.
 */
export interface RoomBackend {
  /** The name for the log, such as `redis`. */
  readonly name: string;
  /** The name in `/readyz`. */
  readonly part: "redis" | "rooms";
  /** The id of this replica. */
  readonly replica: string;
  readonly isUp: boolean;
  /** Calls the listener on each loss and each return. @returns an unsubscribe function */
  onChange(listener: (isUp: boolean) => void): () => void;
  /**
   * Calls the listener with the messages of the channel while the backend is up. Messages during a
   * loss are missed.
   */
  onMessage(listener: (message: ChannelMessage) => void): void;
  /**
   * Whether the error means that the backend is lost and reports that itself; otherwise it has
   * rejected the call.
   */
  isLoss(error: unknown): boolean;

  /**
   * Takes a lease.
   *
   * @param isReturning whether it is after a loss
   * @returns whether the old lease was still valid: then the backend has what this replica sent
   *   before
   */
  enter(isReturning: boolean): Promise<boolean>;
  /**
   * Renews the lease, and removes expired members. Called every second or two.
   *
   * @returns false if the lease had been removed
   */
  keep(): Promise<boolean>;
  /** Ends the lease, and leaves time to the members that depend on it. */
  retire(): Promise<void>;

  /** @returns the previous members @throws PylonError ROOM_LIMIT_REACHED */
  join(room: string, userId: string, data: unknown): Promise<StoredMember[]>;
  /** @returns whether the user was a member */
  leave(room: string, userId: string): Promise<boolean>;
  /** @returns whether the user is a member */
  setPresence(room: string, userId: string, data: unknown): Promise<boolean>;
  /** @param as null: the admin */
  broadcast(room: string, as: string | null, text: string): Promise<BroadcastResult>;
  /** @param as null: the admin @returns null if that user is not a member */
  members(room: string, as: string | null): Promise<StoredMember[] | null>;
  /** @param of null: all */
  rooms(of: string | null): Promise<RoomSize[]>;
  send(message: TenantMessage): Promise<void>;

  /** @returns the user's rooms, with the user's own record in each */
  connect(userId: string, will: TenantMessage): Promise<StoredMember[]>;
  /** @param will the message that is sent immediately; null: none */
  disconnect(userId: string, will: TenantMessage | null): Promise<void>;
  /**
   * Registers a member as this replica knows it, after a loss.
   *
   * @param now milliseconds, by the clock of its `dueAt`
   */
  register(member: Member, now: number): Promise<void>;
}

/**
 * Decodes a message of the channel: a line of JSON, `[kind, room, user, replica, joined_at]` or
 * `["tenant", tenant, rooms, user, about]`, and then the text that is sent.
 *
 * @throws Error for an unknown message
 */
export function decode(encoded: string): ChannelMessage {
  const end = encoded.indexOf("\n");
  const header: unknown = JSON.parse(encoded.slice(0, end));
  if (!Array.isArray(header)) throw new Error("A message of the rooms has no header.");
  const text = encoded.slice(end + 1);
  const [kind, ...rest]: unknown[] = header;
  if (kind === "tenant") return tenantMessage(rest, text);
  if (!isRoomKind(kind)) throw new Error("A message of the rooms has an unknown kind.");
  const [room, userId, origin, joinedAt] = rest;
  return {
    kind,
    room: textOr(room, ""),
    userId: textOr(userId, ""),
    origin: textOr(origin, ""),
    joinedAt: Number(joinedAt ?? 0),
    text,
  };
}

/** Encodes a message to a tenant for the channel; `decode` reads it. */
export function encode({ tenantId, rooms, userId, about, text }: TenantMessage): string {
  return `${JSON.stringify(["tenant", tenantId, rooms, userId, about])}\n${text}`;
}

/** A replica of an older version sends only the tenant, which means everyone in it. */
function tenantMessage(header: readonly unknown[], text: string): TenantMessage {
  const [tenantId, rooms, userId, about] = header;
  return {
    kind: "tenant",
    tenantId: textOr(tenantId, null),
    rooms: Array.isArray(rooms) ? rooms.map(String) : null,
    userId: textOr(userId, null),
    about: about === "gone" ? "gone" : "said",
    text,
  };
}

const ROOM_KINDS: readonly unknown[] = [
  "join",
  "leave",
  "presence",
  "broadcast",
  "snapshot",
] satisfies RoomMessage["kind"][];

function isRoomKind(kind: unknown): kind is RoomMessage["kind"] {
  return ROOM_KINDS.includes(kind);
}

function textOr<T>(value: unknown, other: T): string | T {
  return typeof value === "string" ? value : other;
}

/** The member's data in the text of a join or of presence; null for none. */
export function dataOf(text: string): unknown {
  const message: unknown = JSON.parse(text);
  return typeof message === "object" && message !== null && "data" in message
    ? (message.data ?? null)
    : null;
}

/** A member as the API shows it. */
export function storedPeer({ name, data, joinedAt }: StoredMember): Peer {
  return toPeer(name, data, joinedAt);
}

/** The stored form of a member's data. */
export function toText(data: unknown): string {
  return JSON.stringify(data ?? null);
}

/**
 * The arguments of `register` for a member, in order: data, time of its join in seconds since 1970,
 * the text of a join, the text of presence, milliseconds that it stays without a connection.
 *
 * @param now milliseconds, by the clock of its `dueAt`
 */
export function registrationOf(
  { room, userId, data, joinedAt, dueAt }: Member,
  { graceMs }: RoomTimes,
  now: number,
): [data: string, joinedAt: number, joinText: string, presenceText: string, staysMs: number] {
  return [
    toText(data),
    joinedAt,
    joinMessage(room, userId, data).text,
    presenceMessage(room, userId, data).text,
    dueAt === null ? graceMs : Math.max(1, Math.round(dueAt - now)),
  ];
}

/** Checks a backend's result of a broadcast. @throws Error for anything else */
export function toBroadcastResult(answer: unknown): BroadcastResult {
  if (answer === "sent" || answer === "room_empty" || answer === "not_in_room") return answer;
  throw new Error(`The rooms returned ${JSON.stringify(answer)} for a broadcast.`);
}
