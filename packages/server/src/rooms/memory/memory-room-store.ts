import type { Platform, Timer } from "../../platform.ts";
import { joinMessage, leaveMessage, presenceMessage } from "../messages.ts";
import {
  type BroadcastResult,
  type Deliver,
  type Peer,
  type RoomSize,
  type RoomStore,
  type RoomTimes,
  type TenantMessage,
} from "../room-store.ts";
import { RoomTable, type Member } from "./room-table.ts";

/** What the rooms of one process depend on. */
export interface MemoryRoomOptions {
  readonly deliver: Deliver;
  readonly times: RoomTimes;
  readonly platform: Platform;
}

/** The rooms of a single replica. */
export class MemoryRoomStore implements RoomStore {
  readonly table: RoomTable;
  readonly #deliver: Deliver;
  readonly #platform: Platform;
  readonly #sweepMs: number;
  #timer: Timer | null = null;

  constructor({ deliver, times, platform }: MemoryRoomOptions) {
    this.#deliver = deliver;
    this.#platform = platform;
    this.#sweepMs = times.sweepMs;
    this.table = new RoomTable(times, platform);
  }

  async start(): Promise<void> {
    this.#timer = this.#platform.every(this.#sweepMs, () => this.sweep()).unref();
  }
  async stop(): Promise<void> {
    this.#timer?.cancel();
  }

  async join(room: string, userId: string, data: unknown): Promise<Peer[]> {
    const before = this.table.join(room, userId, data);
    this.#deliver(joinMessage(room, userId, data));
    return before;
  }

  async leave(room: string, userId: string): Promise<boolean> {
    const wasThere = this.table.remove(room, userId);
    if (wasThere) this.#deliver(leaveMessage(room, userId));
    return wasThere;
  }

  async setPresence(room: string, userId: string, data: unknown): Promise<boolean> {
    const member = this.table.find(room, userId);
    if (member === undefined) return false;
    this.table.put(room, userId, data, member.joinedAt);
    this.#deliver(presenceMessage(room, userId, data));
    return true;
  }

  async broadcast(room: string, as: string | null, text: string): Promise<BroadcastResult> {
    if (!this.#mayEnter(room, as)) return "not_in_room";
    if (this.table.peers(room).length === 0) return "room_empty";
    this.#deliver({ kind: "broadcast", room, userId: "", text });
    return "sent";
  }

  async members(room: string, as: string | null): Promise<Peer[] | null> {
    return this.#mayEnter(room, as) ? this.table.peers(room) : null;
  }

  async rooms(of: string | null): Promise<RoomSize[]> {
    return this.table.sizes(of);
  }

  async connected(userId: string, will: TenantMessage): Promise<void> {
    this.table.connect(userId, will);
  }

  async disconnected(userId: string, will: TenantMessage): Promise<void> {
    this.table.disconnect(userId);
    this.#deliver(will);
  }

  async send(message: TenantMessage): Promise<void> {
    this.#deliver(message);
  }

  localMembers(room: string): Iterable<string> {
    return this.table.connectedMembers(room);
  }
  localRooms(userId: string): Iterable<string> {
    return this.table.membershipsOf(userId).map(({ room }) => room);
  }

  /** Removes expired members, and sends the messages about it. @returns them */
  sweep(): Member[] {
    const over = this.table.sweep();
    for (const { room, userId } of over) this.#deliver(leaveMessage(room, userId));
    return over;
  }

  /** For a member it counts as a call. */
  #mayEnter(room: string, as: string | null): boolean {
    if (as === null) return true;
    const member = this.table.find(room, as);
    if (member !== undefined) this.table.touch(member);
    return member !== undefined;
  }
}
