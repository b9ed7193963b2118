import { toPeer } from "./messages.ts";
import type { BroadcastResult, Peer, RoomMessage, RoomSize, TenantMessage } from "./room-store.ts";
import type { Member } from "./room-table.ts";

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
  /** Told of each loss and each return. @returns stops it */
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
  /** @param will null: nobody is to hear of it */
  disconnect(userId: string, will: TenantMessage | null): Promise<void>;
  /**
   * A member as this replica knows it, after a loss.
   *
   * @param now milliseconds, of the clock of its `dueAt`
   */
  register(member: Member, now: number): Promise<void>;
}

/**
 * A message as it comes over the channel: a line of JSON, `[kind, room, user, replica, joined_at]`
 * or `["tenant", tenant, rooms, user, about]`, and the text that goes out.
 */
export function decode(encoded: string): ChannelMessage {
  const end = encoded.indexOf("\n");
  const text = encoded.slice(end + 1);
  const header = JSON.parse(encoded.slice(0, end)) as RoomHeader | TenantHeader;
  if (isOfTenant(header)) {
    // A replica of an older version sends the first two alone: for everyone.
    const [kind, tenantId, rooms = null, from = null, about = "said"] = header;
    return { kind, tenantId, rooms, userId: from, about, text };
  }
  const [kind, name, userId = "", origin = "", joinedAt = 0] = header;
  return {
    kind: kind as RoomMessage["kind"],
    room: name ?? "",
    userId,
    origin,
    joinedAt: Number(joinedAt),
    text,
  };
}

export function encode({ tenantId, rooms, userId, about, text }: TenantMessage): string {
  const header: TenantHeader = ["tenant", tenantId, rooms, userId, about];
  return `${JSON.stringify(header)}\n${text}`;
}

type RoomHeader = [string, string | null, string?, string?, (string | number)?];
type TenantHeader = [
  kind: "tenant",
  tenantId: string | null,
  rooms?: readonly string[] | null,
  userId?: string | null,
  about?: TenantMessage["about"],
];

function isOfTenant(header: RoomHeader | TenantHeader): header is TenantHeader {
  return header[0] === "tenant";
}

export function storedPeer({ name, data, joinedAt }: StoredMember): Peer {
  return toPeer(name, data, joinedAt);
}

/** What is kept of a member's data. */
export function toText(data: unknown): string {
  return JSON.stringify(data ?? null);
}
