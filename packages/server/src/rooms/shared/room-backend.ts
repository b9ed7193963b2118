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

/** A member as the backend keeps it. `name`: the user, or of one user's records the room. */
export interface StoredMember {
  readonly name: string;
  readonly data: unknown;
  /** Seconds since 1970. */
  readonly joinedAt: number;
}

/**
 * A message of the channel. `origin`: the replica that caused it; of a leave, the replica whose
 * lease ran out.
 */
export type ChannelMessage =
  | TenantMessage
  | (RoomMessage & { readonly origin: string; readonly joinedAt: number });

/**
 * What the replicas share: who is in which room, who is connected where, and a channel on which all
 * of them hear of each change.
 *
 * - A change and its message are one: whole or not at all. All replicas hear the messages of a room
 *   in the order of its changes.
 * - Calls for one user are done in the order in which they were made, and so are the messages to
 *   one tenant.
 * - A call rejects with a PylonError when it is refused (nothing is lost), and with anything else
 *   when the backend can't be relied on now.
 * - Every call by which something would depend on a replica whose lease has run out and was taken
 *   away rejects, until it enters again.
 */
export interface RoomBackend {
  /** For the log, such as `redis`. */
  readonly name: string;
  /** What `/readyz` calls it. */
  readonly part: "redis" | "rooms";
  /** Names this replica among all. */
  readonly replica: string;
  readonly isUp: boolean;
  /** Told of each loss and each return. @returns an unsubscribe function */
  onChange(listener: (isUp: boolean) => void): () => void;
  /**
   * Called with what comes over the channel while the backend is up. What comes while it is lost is
   * missed.
   */
  onMessage(listener: (message: ChannelMessage) => void): void;
  /** The backend is lost, and says so itself; else it has refused. */
  isLoss(error: unknown): boolean;

  /**
   * Takes a lease.
   *
   * @param isReturning after a loss
   * @returns whether the old lease was still good: the backend has what we told it
   */
  enter(isReturning: boolean): Promise<boolean>;
  /**
   * Renews the lease, and removes those whose time is over. Called every second or two.
   *
   * @returns false when the lease had been taken away
   */
  keep(): Promise<boolean>;
  /** Gives the lease back, and leaves time to those who depend on it. */
  retire(): Promise<void>;

  /** @returns who was there before @throws PylonError ROOM_LIMIT_REACHED */
  join(room: string, userId: string, data: unknown): Promise<StoredMember[]>;
  /** @returns whether the user was there */
  leave(room: string, userId: string): Promise<boolean>;
  /** @returns whether the user is there */
  setPresence(room: string, userId: string, data: unknown): Promise<boolean>;
  /** @param as null: the admin */
  broadcast(room: string, as: string | null, text: string): Promise<BroadcastResult>;
  /** @param as null: the admin @returns null when they are not in it */
  members(room: string, as: string | null): Promise<StoredMember[] | null>;
  /** @param of null: all */
  rooms(of: string | null): Promise<RoomSize[]>;
  send(message: TenantMessage): Promise<void>;

  /** @returns the user's rooms, with the user's own record in each */
  connect(userId: string, will: TenantMessage): Promise<StoredMember[]>;
  /** @param will what is sent at once; null: nothing */
  disconnect(userId: string, will: TenantMessage | null): Promise<void>;
  /**
   * A member as this replica knows it, after a loss.
   *
   * @param now milliseconds, of the clock of its `dueAt`
   */
  register(member: Member, now: number): Promise<void>;
}

/**
 * Reads a message of the channel: a line of JSON, `[kind, room, user, replica, joined_at]` or
 * `["tenant", tenant, rooms, user, about]`, and then the text that goes out.
 *
 * @throws Error when it is none of ours
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

/** Writes a message to a tenant for the channel; `decode` reads it. */
export function encode({ tenantId, rooms, userId, about, text }: TenantMessage): string {
  return `${JSON.stringify(["tenant", tenantId, rooms, userId, about])}\n${text}`;
}

/** A replica of an older version sends the tenant alone: for everyone in it. */
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

/** What the text of a join or of presence says of the member; null for nothing. */
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

/** What is kept of a member's data. */
export function toText(data: unknown): string {
  return JSON.stringify(data ?? null);
}

/**
 * What `register` says of a member, in the order of its arguments: data, seconds since 1970 of its
 * join, the text of a join, the text of presence, milliseconds that it stays without a connection.
 *
 * @param now milliseconds, of the clock of its `dueAt`
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

/** What a backend answered to a broadcast. @throws Error for anything else */
export function toBroadcastResult(answer: unknown): BroadcastResult {
  if (answer === "sent" || answer === "room_empty" || answer === "not_in_room") return answer;
  throw new Error(`The rooms returned ${JSON.stringify(answer)} for a broadcast.`);
}
