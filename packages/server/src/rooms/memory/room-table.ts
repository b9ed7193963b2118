import type { Platform } from "../../platform.ts";
import { tooManyRooms, tooManyRoomsOfUser, toPeer } from "../messages.ts";
import {
  MAX_ROOMS,
  MAX_ROOMS_OF_USER,
  type Peer,
  type RoomSize,
  type RoomTimes,
  type TenantMessage,
} from "../room-store.ts";

/** A user in a room. */
export interface Member {
  readonly room: string;
  readonly userId: string;
  data: unknown;
  /** Seconds since 1970. */
  joinedAt: number;
  /**
   * When a member that depends on calls expires, by the monotonic clock; null for one whose user is
   * connected, or was until now.
   */
  dueAt: number | null;
}

/** Tells when a member joined, and measures how long one stays. */
type RoomClock = Pick<Platform, "now" | "monotonic">;

/** The members that one process knows, and how long they stay. */
export class RoomTable {
  readonly #times: RoomTimes;
  readonly #clock: RoomClock;
  readonly #rooms = new Map<string, Map<string, Member>>();
  readonly #byUser = new Map<string, Map<string, Member>>();
  readonly #connected = new Map<string, TenantMessage>();
  /**
   * When the memberships of users expire whose last connection has closed, by the monotonic clock.
   */
  readonly #gone = new Map<string, number>();
  /** The members with a `dueAt`. */
  readonly #due = new Set<Member>();

  constructor(times: RoomTimes, clock: RoomClock) {
    this.#times = times;
    this.#clock = clock;
  }

  find(room: string, userId: string): Member | undefined {
    return this.#rooms.get(room)?.get(userId);
  }

  /** @returns the previous members @throws PylonError ROOM_LIMIT_REACHED */
  join(room: string, userId: string, data: unknown): Peer[] {
    const before = this.peers(room);
    const known = this.find(room, userId);
    if (known === undefined) {
      if (!this.#rooms.has(room) && this.#rooms.size >= MAX_ROOMS) throw tooManyRooms();
      if ((this.#byUser.get(userId)?.size ?? 0) >= MAX_ROOMS_OF_USER) throw tooManyRoomsOfUser();
    }
    this.put(room, userId, data, known?.joinedAt ?? Math.floor(this.#clock.now() / 1000));
    return before;
  }

  /** Adds or replaces the member; counts as a call. */
  put(room: string, userId: string, data: unknown, joinedAt: number): void {
    const known = this.find(room, userId);
    if (known !== undefined) {
      known.data = data;
      known.joinedAt = joinedAt;
      this.touch(known);
      return;
    }
    const member: Member = { room, userId, data, joinedAt, dueAt: null };
    setIn(this.#rooms, room, userId, member);
    setIn(this.#byUser, userId, room, member);
    this.touch(member);
  }

  /** @returns whether it existed */
  remove(room: string, userId: string): boolean {
    const member = this.find(room, userId);
    if (member === undefined) return false;
    deleteIn(this.#rooms, room, userId);
    deleteIn(this.#byUser, userId, room);
    this.#due.delete(member);
    return true;
  }

  /** Records a call of the member. */
  touch(member: Member): void {
    if (this.#connected.has(member.userId)) return;
    member.dueAt = this.#clock.monotonic() + this.#times.idleMs;
    this.#due.add(member);
  }

  connect(userId: string, will: TenantMessage): void {
    this.#connected.set(userId, will);
    this.#gone.delete(userId);
    for (const member of this.membershipsOf(userId)) {
      member.dueAt = null;
      this.#due.delete(member);
    }
  }

  disconnect(userId: string): void {
    if (this.#connected.delete(userId))
      this.#gone.set(userId, this.#clock.monotonic() + this.#times.graceMs);
  }

  /** Removes the expired members. @returns them */
  sweep(): Member[] {
    const now = this.#clock.monotonic();
    const over = [...this.#due].filter(({ dueAt }) => dueAt !== null && dueAt <= now);
    for (const [userId, at] of this.#gone) {
      if (at > now) continue;
      this.#gone.delete(userId);
      over.push(...this.membershipsOf(userId).filter(({ dueAt }) => dueAt === null));
    }
    for (const { room, userId } of over) this.remove(room, userId);
    return over;
  }

  get isEmpty(): boolean {
    return this.#byUser.size === 0;
  }
  isConnected(userId: string): boolean {
    return this.#connected.has(userId);
  }
  /** The connected users, with the message that is sent when they turn out to be gone. */
  connectedUsers(): ReadonlyMap<string, TenantMessage> {
    return this.#connected;
  }
  membershipsOf(userId: string): Member[] {
    return [...(this.#byUser.get(userId)?.values() ?? [])];
  }
  all(): Member[] {
    return [...this.#byUser.values()].flatMap((members) => [...members.values()]);
  }
  *connectedMembers(room: string): Iterable<string> {
    for (const userId of this.#rooms.get(room)?.keys() ?? []) {
      if (this.#connected.has(userId)) yield userId;
    }
  }
  peers(room: string): Peer[] {
    return [...(this.#rooms.get(room)?.values() ?? [])].map(({ userId, data, joinedAt }) =>
      toPeer(userId, data, joinedAt),
    );
  }
  /** @param of the user whose rooms are counted; null for all */
  sizes(of: string | null): RoomSize[] {
    const names = of === null ? this.#rooms.keys() : (this.#byUser.get(of)?.keys() ?? []);
    return [...names].map((name) => ({ name, members: this.#rooms.get(name)?.size ?? 0 }));
  }
}

function setIn(
  maps: Map<string, Map<string, Member>>,
  outer: string,
  inner: string,
  member: Member,
): void {
  const map = maps.get(outer);
  if (map === undefined) maps.set(outer, new Map([[inner, member]]));
  else map.set(inner, member);
}

function deleteIn(maps: Map<string, Map<string, Member>>, outer: string, inner: string): void {
  const map = maps.get(outer);
  map?.delete(inner);
  if (map?.size === 0) maps.delete(outer);
}
