import type { ConnectionIndex } from "../connections/connection-index.ts";
import type { RoomRules } from "../policy/room-rules.ts";
import type { Platform, Timer } from "../platform.ts";
import type { ChangeRecord, Store } from "../store/store.ts";
import type { RoomGuard } from "./room-guard.ts";
import type { RoomStore } from "./room-store.ts";

/** The delay before a retry after a failure of the database. */
const RETRY_MS = 1_000;

/** What a watch depends on. */
export interface RoomWatchOptions {
  readonly store: Pick<Store, "follow" | "test">;
  readonly rooms: Pick<RoomStore, "leave" | "localRooms">;
  readonly connections: ConnectionIndex;
  readonly rules: () => RoomRules;
  readonly guard: RoomGuard;
  readonly platform: Pick<Platform, "now" | "after">;
  readonly onError: (error: unknown) => void;
}

/**
 * Removes members from rooms that they may no longer be in: members that are connected to this
 * replica, when rows change on which their permission depends. Members without a connection receive
 * nothing, and are checked at each call.
 */
export class RoomWatch {
  readonly #options: RoomWatchOptions;
  /** The rooms to check, by user. */
  readonly #pending = new Map<string, Set<string>>();
  #isRunning = false;
  #stop: () => void = () => undefined;
  #retry: Timer | null = null;

  constructor(options: RoomWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stop = this.#options.store.follow((changes) => this.#heard(changes));
  }

  stop(): void {
    this.#stop();
    this.#retry?.cancel();
    this.#pending.clear();
  }

  /**
   * Called for a user who has connected, and whose permissions may have changed in the meantime.
   */
  came(userId: string): void {
    for (const room of this.#options.rooms.localRooms(userId)) this.#ask(userId, room);
  }

  #heard(changes: readonly ChangeRecord[]): void {
    const { connections, rooms, platform } = this.#options;
    const rules = this.#options.rules();
    const relevant = changes.filter(({ entity }) => rules.looksAt(entity));
    if (relevant.length === 0) return;
    const now = new Date(platform.now()).toISOString();
    for (const userId of connections.users())
      for (const room of rooms.localRooms(userId))
        for (const { caller: auth } of connections.ofUser(userId))
          if (relevant.some((change) => rules.mayChangeJoin(room, change, { auth, now })))
            this.#ask(userId, room);
  }

  #ask(userId: string, room: string): void {
    const rooms = this.#pending.get(userId) ?? new Set();
    this.#pending.set(userId, rooms.add(room));
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    this.#retry?.cancel();
    try {
      for (const [userId, rooms] of this.#pending) {
        for (const room of rooms) {
          // Removed first: a change that arrives during the check is checked again.
          rooms.delete(room);
          await this.#settle(userId, room).catch((error: unknown) => {
            rooms.add(room);
            throw error;
          });
        }
        if (rooms.size === 0) this.#pending.delete(userId);
      }
    } catch (error) {
      this.#options.onError(error);
      this.#retry = this.#options.platform.after(RETRY_MS, () => {
        if (!this.#isRunning) void this.#run();
      });
    }
    this.#isRunning = false;
  }

  /** A user is a member on all its devices: it is enough if one of them may be in the room. */
  async #settle(userId: string, room: string): Promise<void> {
    const { store, guard, connections, rooms } = this.#options;
    const subscribers = [...connections.ofUser(userId)];
    for (const { caller } of subscribers) if (await guard.may(store, caller, room, "join")) return;
    if (subscribers.length > 0) await rooms.leave(room, userId);
  }
}
