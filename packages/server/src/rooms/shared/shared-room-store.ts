import { PylonError } from "@pylonsync/protocol";
import type { Log } from "../../observe/log.ts";
import type { Platform, Timer } from "../../platform.ts";
import { chunk } from "../../util/chunk.ts";
import { errorText } from "../../util/errors.ts";
import { MemoryRoomStore } from "../memory/memory-room-store.ts";
import type { RoomTable } from "../memory/room-table.ts";
import { snapshotMessage } from "../messages.ts";
import {
  type BroadcastResult,
  type Deliver,
  type Peer,
  type RoomMessage,
  type RoomSize,
  type RoomStore,
  type RoomTimes,
  type TenantMessage,
} from "../room-store.ts";
import { PendingChanges } from "./pending-changes.ts";
import { dataOf, storedPeer, type ChannelMessage, type RoomBackend } from "./room-backend.ts";
import { Sharing, type SharingState } from "./sharing-state.ts";
import { UnconfirmedChanges, type RequestedChange } from "./unconfirmed-changes.ts";

const RETRY_MS = 500;
/** The maximum number of concurrent calls after a loss, when there are many. */
const CONCURRENCY = 64;

/** What shared rooms depend on. */
export interface SharedRoomOptions {
  readonly backend: RoomBackend;
  readonly deliver: Deliver;
  readonly times: RoomTimes;
  readonly platform: Platform;
  readonly log: Log;
}

/**
 * The rooms of several replicas, in a backend that they share.
 *
 * In addition there is a table in memory of the members for which this replica is responsible:
 * those whose users are connected to it, and those whose last call it handled. It follows the
 * channel, determines whom a message concerns, and takes over while the backend is lost. After the
 * loss the changes are sent to the backend, or everything if it no longer knows this replica, and
 * only then is the backend used again. A single state determines what is done when
 * (sharing-state.ts).
 */
export class SharedRoomStore implements RoomStore {
  readonly #options: SharedRoomOptions;
  readonly #backend: RoomBackend;
  readonly #memory: MemoryRoomStore;
  readonly #sharing = new Sharing();
  readonly #pending: PendingChanges;
  readonly #unconfirmed = new UnconfirmedChanges();
  /**
   * Users whose rooms are being loaded, each with the rooms about which the channel sent messages
   * in the meantime, which are newer.
   */
  readonly #loading = new Map<string, Set<string>>();
  /** The logged reason for which the backend rejects calls, until it accepts them. */
  #refusal: string | null = null;
  #renewal: Promise<void> | null = null;
  /** The number of consecutive turns of the sweep without a user here. */
  #idleTurns = 0;
  #timers: Timer[] = [];
  #unfollow: () => void = () => undefined;

  constructor(options: SharedRoomOptions) {
    this.#options = options;
    const { backend, platform } = options;
    this.#backend = backend;
    this.#memory = new MemoryRoomStore(options);
    this.#pending = new PendingChanges(this.#table, backend, platform.monotonic);
    backend.onMessage((message) => this.#received(message));
  }

  get #table(): RoomTable {
    return this.#memory.table;
  }

  /** Whether the backend can be reached, but rejects what it is asked to do. */
  get isRefused(): boolean {
    return this.#refusal !== null;
  }

  get #isOnline(): boolean {
    return this.#sharing.state === "online";
  }

  async start(): Promise<void> {
    const { platform, times } = this.#options;
    this.#unfollow = this.#backend.onChange((isUp) =>
      isUp ? void this.#recover() : this.#goOffline(),
    );
    this.#timers = [
      platform.every(times.sweepMs, () => void this.#keep()).unref(),
      platform.every(RETRY_MS, () => void this.#recover()).unref(),
    ];
    await this.#recover();
  }

  async stop(): Promise<void> {
    this.#unfollow();
    for (const timer of this.#timers) timer.cancel();
    const { state } = this.#sharing;
    if (state !== "stopped") this.#sharing.become("stopped");
    // Without the backend there is no other replica to hand over to.
    if (state === "online") await this.#backend.retire().catch(() => undefined);
  }

  join(room: string, userId: string, data: unknown): Promise<Peer[]> {
    const shared = async (): Promise<Peer[]> => {
      const before = await this.#request({
        kind: "join",
        member: { room, userId },
        send: () => this.#backend.join(room, userId, data),
        effectOf: (members) => {
          const known = members.find(({ name }) => name === userId);
          return () => this.#table.put(room, userId, data, known?.joinedAt ?? this.#seconds());
        },
      });
      return before.map(storedPeer);
    };
    return this.#ask(shared, () => {
      this.#noteMember(room, userId);
      return this.#memory.join(room, userId, data);
    });
  }

  leave(room: string, userId: string): Promise<boolean> {
    const shared = (): Promise<boolean> =>
      this.#request({
        kind: "leave",
        member: { room, userId },
        send: () => this.#backend.leave(room, userId),
        effectOf: (wasThere) => (wasThere ? () => this.#table.remove(room, userId) : null),
      });
    return this.#ask(shared, () => {
      this.#noteMember(room, userId);
      return this.#memory.leave(room, userId);
    });
  }

  setPresence(room: string, userId: string, data: unknown): Promise<boolean> {
    const put = (): void => {
      const known = this.#table.find(room, userId);
      this.#table.put(room, userId, data, known?.joinedAt ?? this.#seconds());
    };
    const shared = (): Promise<boolean> =>
      this.#request({
        kind: "presence",
        member: { room, userId },
        send: () => this.#backend.setPresence(room, userId, data),
        effectOf: (isThere) => (isThere ? put : null),
      });
    return this.#ask(shared, () => {
      this.#noteMember(room, userId);
      return this.#memory.setPresence(room, userId, data);
    });
  }

  broadcast(room: string, as: string | null, text: string): Promise<BroadcastResult> {
    return this.#ask(
      () => this.#backend.broadcast(room, as, text),
      () => this.#memory.broadcast(room, as, text),
    );
  }

  members(room: string, as: string | null): Promise<Peer[] | null> {
    return this.#ask(
      async () => {
        const members = await this.#backend.members(room, as);
        // A member that makes a request here depends on this replica from now on.
        const own = members?.find(({ name }) => name === as);
        if (own !== undefined && !this.#table.isConnected(own.name))
          this.#table.put(room, own.name, own.data, own.joinedAt);
        return members?.map(storedPeer) ?? null;
      },
      () => this.#memory.members(room, as),
    );
  }

  rooms(of: string | null): Promise<RoomSize[]> {
    return this.#ask(
      () => this.#backend.rooms(of),
      () => this.#memory.rooms(of),
    );
  }

  async connected(userId: string, will: TenantMessage): Promise<void> {
    this.#table.connect(userId, will);
    await this.#ask(
      () => this.#load(userId, will),
      () => this.#noteUser(userId),
    );
  }

  async disconnected(userId: string, will: TenantMessage): Promise<void> {
    this.#table.disconnect(userId);
    await this.#ask(
      () => this.#backend.disconnect(userId, will),
      () => {
        this.#noteUser(userId);
        this.#options.deliver(will);
      },
    );
  }

  send(message: TenantMessage): Promise<void> {
    return this.#ask(
      () => this.#backend.send(message),
      () => this.#memory.send(message),
    );
  }

  localMembers(room: string): Iterable<string> {
    return this.#table.connectedMembers(room);
  }
  localRooms(userId: string): Iterable<string> {
    const rooms = new Set(this.#table.membershipsOf(userId).map(({ room }) => room));
    // The table has a join only after its message on the channel; the user knows it from the
    // result.
    for (const joined of this.#unconfirmed.answered("join"))
      if (joined.userId === userId) rooms.add(joined.room);
    return rooms;
  }

  /** Calls the backend, or the memory if the backend is lost. */
  async #ask<T>(shared: () => Promise<T>, alone: () => T | Promise<T>): Promise<T> {
    if (this.#isOnline) {
      try {
        return await shared();
      } catch (error) {
        if (error instanceof PylonError) throw error;
        this.#goOffline(error);
      }
    }
    return alone();
  }

  #request<T>(change: Omit<RequestedChange<T>, "isSuperseded">): Promise<T> {
    return this.#unconfirmed.request({
      ...change,
      isSuperseded: () => this.#pending.has(change.member),
    });
  }

  /**
   * Notes a member for the backend. One that was never available receives everything, so nothing is
   * noted until then, because it may never become available.
   */
  #noteMember(room: string, userId: string): void {
    if (this.#sharing.state !== "new") this.#pending.addMember({ room, userId });
  }
  #noteUser(userId: string): void {
    if (this.#sharing.state !== "new") this.#pending.addUser(userId);
  }

  /** Sends the connected user to the backend, and loads the user's rooms from it. */
  async #load(userId: string, will: TenantMessage): Promise<void> {
    const told = new Set<string>();
    this.#loading.set(userId, told);
    try {
      const rooms = await this.#backend.connect(userId, will);
      if (!this.#isOnline) return;
      const names = new Set(rooms.map(({ name }) => name));
      for (const { name, data, joinedAt } of rooms) {
        if (!told.has(name)) this.#table.put(name, userId, data, joinedAt);
      }
      for (const { room } of this.#table.membershipsOf(userId)) {
        if (!names.has(room) && !told.has(room)) this.#table.remove(room, userId);
      }
    } finally {
      if (this.#loading.get(userId) === told) this.#loading.delete(userId);
    }
  }

  /** Handles the messages of all replicas, including this one. */
  #received(message: ChannelMessage): void {
    // What was missed is loaded after the return.
    if (!this.#isOnline) return;
    if (message.kind === "tenant" || message.kind === "broadcast") {
      this.#options.deliver(message);
      return;
    }
    if (message.kind === "leave" && message.origin === this.#backend.replica) {
      // Other replicas considered this one dead. Its members still exist, and are registered again.
      this.#goOffline();
      return;
    }
    this.#follow(message);
    this.#options.deliver(message);
  }

  /** Applies a message of the channel to the table. */
  #follow(message: RoomMessage & { readonly origin: string; readonly joinedAt: number }): void {
    const { kind, room, userId, origin, joinedAt, text } = message;
    const isOwn = origin === this.#backend.replica;
    this.#loading.get(userId)?.add(room);
    if (kind === "leave") {
      // A leave does not say whose call it was: if one was requested here, it counts as received.
      this.#unconfirmed.confirm(kind, { room, userId });
      this.#table.remove(room, userId);
      return;
    }
    if (isOwn && (kind === "join" || kind === "presence"))
      this.#unconfirmed.confirm(kind, { room, userId });
    const isConcerned =
      isOwn || this.#table.isConnected(userId) || this.#table.find(room, userId) !== undefined;
    if (isConcerned) this.#table.put(room, userId, dataOf(text), joinedAt);
  }

  #goOffline(error?: unknown): void {
    if (!this.#isOnline) return;
    this.#sharing.become("lost");
    this.#unconfirmed.onConnectionLost();
    this.#logRefusal(error);
  }

  /**
   * The connection reports a loss. Anything else, such as a Redis that is full or read-only, is
   * logged here, once until it accepts calls.
   */
  #logRefusal(error: unknown): void {
    if (error === undefined || this.#backend.isLoss(error) || this.#refusal !== null) return;
    this.#refusal = errorText(error);
    this.#options.log.warn(
      `${this.#backend.name} rejects requests: rooms are per replica until it accepts them`,
      { reason: this.#refusal },
    );
  }

  async #recover(): Promise<void> {
    const from = this.#sharing.state;
    if ((from !== "new" && from !== "lost") || !this.#backend.isUp) return;
    const isReturning = from === "lost";
    this.#sharing.become(isReturning ? "returning" : "entering");
    const next = await this.#enter(isReturning);
    if (this.#sharing.state === "stopped") return;
    this.#sharing.become(next);
    if (next !== "online") return;
    try {
      await this.#catchUp();
    } catch (error) {
      this.#goOffline(error);
      return;
    }
    if (this.#refusal !== null && this.#isOnline)
      this.#options.log.info(`${this.#backend.name} accepts requests again: rooms are shared`);
    this.#refusal = null;
  }

  /**
   * Takes a lease, and sends the backend what it does not know.
   *
   * @returns the next state
   */
  async #enter(isReturning: boolean): Promise<SharingState> {
    let next: SharingState = isReturning ? "lost" : "new";
    try {
      const isKnown = await this.#backend.enter(isReturning);
      // From here on the backend may have data of this replica, even if the rest fails.
      next = "lost";
      if (!isKnown || !isReturning) this.#pending.addAll();
      if ((await this.#replayChanges()) && this.#backend.isUp) next = "online";
    } catch (error) {
      // The timer tries again.
      this.#logRefusal(error);
    }
    return next;
  }

  /**
   * Loads what the other replicas did while the backend was lost here: the users' own rooms, and
   * then the members in them, which the clients have missed, too.
   */
  async #catchUp(): Promise<void> {
    for (const users of chunk([...this.#table.connectedUsers()], CONCURRENCY)) {
      const here = users.filter(([userId]) => this.#table.isConnected(userId));
      await Promise.all(
        here.map(([userId, will]) => this.#retryWhileOnline(() => this.#load(userId, will))),
      );
    }
    const rooms = new Set(
      [...this.#table.connectedUsers().keys()].flatMap((userId) =>
        this.#table.membershipsOf(userId).map(({ room }) => room),
      ),
    );
    for (const names of chunk([...rooms], CONCURRENCY))
      await Promise.all(names.map((room) => this.#retryWhileOnline(() => this.#showRoom(room))));
  }

  /** Retries calls that the backend rejects because of overload: nothing is lost by a rejection. */
  async #retryWhileOnline(work: () => Promise<void>): Promise<void> {
    const { platform } = this.#options;
    while (this.#isOnline) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof PylonError)) throw error;
        await new Promise<void>((resolve) => platform.after(RETRY_MS, resolve));
      }
    }
  }

  async #showRoom(room: string): Promise<void> {
    const members = await this.#backend.members(room, null);
    if (members !== null) this.#options.deliver(snapshotMessage(room, members.map(storedPeer)));
  }

  /**
   * Sends the backend the changes made here while it was lost.
   *
   * @returns false if the lease expired in the meantime
   */
  async #replayChanges(): Promise<boolean> {
    const {
      platform: { monotonic },
      times: { sweepMs },
    } = this.#options;
    let keptAt = monotonic();
    // Requests continue in the meantime, and cause more changes.
    while (!this.#pending.isEmpty) {
      await this.#pending.sendSome();
      if (monotonic() - keptAt < sweepMs) continue;
      if (!(await this.#backend.keep())) return false;
      keptAt = monotonic();
    }
    return true;
  }

  async #keep(): Promise<void> {
    if (!this.#isOnline) {
      for (const { room, userId } of this.#memory.sweep()) this.#noteMember(room, userId);
      return;
    }
    // Here the table only drops members for which it is no longer responsible.
    this.#table.sweep();
    // No user waits for a replica that has none: it sweeps for the others half as often.
    const isIdle = this.#table.connectedUsers().size === 0 && this.#table.isEmpty;
    this.#idleTurns = isIdle ? this.#idleTurns + 1 : 0;
    if (this.#idleTurns % 2 === 1 || this.#renewal !== null) return;
    this.#renewal = this.#renewLease().finally(() => {
      this.#renewal = null;
    });
    await this.#renewal;
  }

  async #renewLease(): Promise<void> {
    const renew = async (): Promise<void> => {
      if (!(await this.#backend.keep())) this.#goOffline();
    };
    await this.#ask(renew, () => Promise.resolve());
  }

  #seconds(): number {
    return Math.floor(this.#options.platform.now() / 1000);
  }
}
