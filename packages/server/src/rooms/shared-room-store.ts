import { PylonError } from "@pylonsync/protocol";
import type { Log } from "../observe/log.ts";
import { chunk } from "../util/chunk.ts";
import { errorText } from "../util/errors.ts";
import { MemoryRoomStore } from "./memory-room-store.ts";
import { snapshotMessage } from "./messages.ts";
import { storedPeer, type ChannelMessage, type RoomBackend } from "./room-backend.ts";
import {
  SWEEP_MS,
  type BroadcastResult,
  type Deliver,
  type Peer,
  type RoomSize,
  type RoomStore,
  type RoomTimes,
  type TenantMessage,
} from "./room-store.ts";
import type { RoomTable } from "./room-table.ts";
import { UnheardChanges, type ChangeKind } from "./unheard-changes.ts";

const RETRY_MS = 500;
/** How many calls are under way at once while much is told or asked after a loss. */
const CONCURRENCY = 64;

export interface SharedRoomOptions {
  readonly backend: RoomBackend;
  readonly deliver: Deliver;
  readonly times: RoomTimes;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Log;
}

/**
 * The rooms of several replicas, in a backend that they share.
 *
 * Beside it stands a table in memory of the members that this replica answers for: those whose
 * users are connected to it, and those whose last call it took. It follows the channel, says whom a
 * message concerns, and takes over while the backend is lost. Then the backend is told what changed
 * meanwhile, or everything when it knows this replica no more, and only after that it is asked
 * again.
 */
export class SharedRoomStore implements RoomStore {
  readonly #options: SharedRoomOptions;
  readonly #backend: RoomBackend;
  readonly #memory: MemoryRoomStore;
  #isOnline = false;
  #wasOnline = false;
  #isRecovering = false;
  #isStopping = false;
  #isRefused = false;
  #isKeeping = false;
  #hasSkipped = false;
  /** Members that changed while the backend was lost. */
  readonly #changed = new Map<string, { readonly room: string; readonly userId: string }>();
  /** Users who came or went while the backend was lost. */
  readonly #moved = new Set<string>();
  readonly #unheard = new UnheardChanges();
  /**
   * Users whose rooms are being asked for, each with the rooms that the channel told of meanwhile:
   * what it told is newer.
   */
  readonly #loading = new Map<string, Set<string>>();
  #timers: ReturnType<typeof setInterval>[] = [];
  #unfollow: () => void = () => undefined;

  constructor(options: SharedRoomOptions) {
    this.#options = options;
    const { backend, times, deliver, now } = options;
    this.#backend = backend;
    this.#memory = new MemoryRoomStore(deliver, times, now);
    backend.onMessage((message) => this.#received(message));
  }

  get #table(): RoomTable {
    return this.#memory.table;
  }

  async start(): Promise<void> {
    this.#unfollow = this.#backend.onChange((isUp) =>
      isUp ? void this.#recover() : this.#goOffline(),
    );
    const every = (ms: number, run: () => Promise<unknown>): void => {
      const timer = setInterval(() => void run(), ms);
      timer.unref();
      this.#timers.push(timer);
    };
    every(SWEEP_MS, () => this.#keep());
    every(RETRY_MS, () => this.#recover());
    await this.#recover();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#unfollow();
    for (const timer of this.#timers) clearInterval(timer);
    if (!this.#isOnline) return;
    this.#isOnline = false;
    // Without the backend there is nobody to hand over to.
    await this.#backend.retire().catch(() => undefined);
  }

  join(room: string, userId: string, data: unknown): Promise<Peer[]> {
    return this.#ask(
      async () => {
        const before = await this.#askAbout(
          "join",
          room,
          userId,
          () => this.#backend.join(room, userId, data),
          (members) => {
            const known = members.find(({ name }) => name === userId);
            return () => this.#table.put(room, userId, data, known?.joinedAt ?? this.#seconds());
          },
        );
        return before.map(storedPeer);
      },
      () => this.#change(room, userId, () => this.#memory.join(room, userId, data)),
    );
  }

  leave(room: string, userId: string): Promise<boolean> {
    return this.#ask(
      () =>
        this.#askAbout(
          "leave",
          room,
          userId,
          () => this.#backend.leave(room, userId),
          (wasThere) => (wasThere ? () => this.#table.remove(room, userId) : null),
        ),
      () => this.#change(room, userId, () => this.#memory.leave(room, userId)),
    );
  }

  setPresence(room: string, userId: string, data: unknown): Promise<boolean> {
    const put = (): void =>
      this.#table.put(
        room,
        userId,
        data,
        this.#table.find(room, userId)?.joinedAt ?? this.#seconds(),
      );
    return this.#ask(
      () =>
        this.#askAbout(
          "presence",
          room,
          userId,
          () => this.#backend.setPresence(room, userId, data),
          (isThere) => (isThere ? put : null),
        ),
      () => this.#change(room, userId, () => this.#memory.setPresence(room, userId, data)),
    );
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
        // Whoever asks here depends on this replica from now on.
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
      async () => this.#noteUser(userId),
    );
  }

  async disconnected(userId: string, will: TenantMessage): Promise<void> {
    this.#table.disconnect(userId);
    await this.#ask(
      () => this.#backend.disconnect(userId, will),
      async () => {
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
    // The table has a join only after the channel has told of it; the user knows it by the answer.
    for (const member of this.#unheard.answered("join")) {
      const [room, joined] = JSON.parse(member) as [string, string];
      if (joined === userId) rooms.add(room);
    }
    return rooms;
  }

  /** Asks the backend, or the memory when the backend is lost. */
  async #ask<T>(shared: () => Promise<T>, alone: () => Promise<T>): Promise<T> {
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

  #askAbout<T>(
    kind: ChangeKind,
    room: string,
    userId: string,
    ask: () => Promise<T>,
    effectOf: (answer: T) => (() => void) | null,
  ): Promise<T> {
    const key = keyOf(room, userId);
    return this.#unheard.ask(kind, key, ask, effectOf, () => this.#changed.has(key));
  }

  #change<T>(room: string, userId: string, change: () => Promise<T>): Promise<T> {
    this.#noteMember(room, userId);
    return change();
  }

  /**
   * The backend is to be told later. One that was never there is told everything, so nothing is
   * noted until then: it may never come.
   */
  #noteMember(room: string, userId: string): void {
    if (this.#wasOnline || this.#isRecovering)
      this.#changed.set(keyOf(room, userId), { room, userId });
  }
  #noteUser(userId: string): void {
    if (this.#wasOnline || this.#isRecovering) this.#moved.add(userId);
  }

  /** Tells the backend that the user is here, and takes over what it knows of the user's rooms. */
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

  /** What the replicas tell each other, this one too. */
  #received(message: ChannelMessage): void {
    // What was missed is asked for after the return.
    if (!this.#isOnline) return;
    if (message.kind === "tenant" || message.kind === "broadcast") {
      this.#options.deliver(message);
      return;
    }
    const { kind, room, userId, origin, joinedAt, text } = message;
    const isOwn = origin === this.#backend.replica;
    if (kind === "leave" && isOwn) {
      // Others took this replica for dead. Its members are still here, and come back.
      this.#goOffline();
      return;
    }
    this.#loading.get(userId)?.add(room);
    // A leave does not say whose call it was: whoever asked for one here has got it.
    if ((isOwn && kind !== "snapshot") || kind === "leave")
      this.#unheard.heard(kind, keyOf(room, userId));
    if (
      kind !== "leave" &&
      (isOwn || this.#table.isConnected(userId) || this.#table.find(room, userId) !== undefined)
    ) {
      const { data = null } = JSON.parse(text) as { readonly data?: unknown };
      this.#table.put(room, userId, data, joinedAt);
    }
    if (kind === "leave") this.#table.remove(room, userId);
    this.#options.deliver(message);
  }

  #goOffline(error?: unknown): void {
    if (!this.#isOnline) return;
    this.#isOnline = false;
    this.#unheard.lost();
    this.#refused(error);
  }

  /**
   * A loss is told by the connection. Anything else, such as a Redis that is full or read-only, is
   * told here, once until it accepts.
   */
  #refused(error: unknown): void {
    if (error === undefined || this.#backend.isLoss(error) || this.#isRefused) return;
    this.#isRefused = true;
    this.#options.log.warn(
      `${this.#backend.name} refuses: rooms count per replica until it accepts`,
      { reason: errorText(error) },
    );
  }

  async #recover(): Promise<void> {
    if (this.#isOnline || this.#isRecovering || this.#isStopping || !this.#backend.isUp) return;
    this.#isRecovering = true;
    try {
      const isKnown = await this.#backend.enter(this.#wasOnline);
      if (!isKnown) {
        for (const { room, userId } of this.#table.all()) this.#noteMember(room, userId);
        for (const userId of this.#table.connectedUsers().keys()) this.#noteUser(userId);
      }
      const isTold = await this.#replayChanges();
      this.#isOnline = isTold && this.#backend.isUp && !this.#isStopping;
      if (this.#isOnline) this.#isRefused = false;
    } catch (error) {
      // The timer tries again.
      this.#refused(error);
    } finally {
      this.#isRecovering = false;
    }
    if (!this.#isOnline || !this.#wasOnline) {
      this.#wasOnline ||= this.#isOnline;
      return;
    }
    await this.#catchUp().catch((error: unknown) => this.#goOffline(error));
  }

  /**
   * What the others did while the backend was lost here: the users' own rooms, and then who is in
   * them, which the clients have missed, too.
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

  /** A backend that has too much to do is asked again: by a refusal nothing is lost. */
  async #retryWhileOnline(work: () => Promise<void>): Promise<void> {
    while (this.#isOnline) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof PylonError)) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  async #showRoom(room: string): Promise<void> {
    const members = await this.#backend.members(room, null);
    if (members !== null) this.#options.deliver(snapshotMessage(room, members.map(storedPeer)));
  }

  /**
   * Tells the backend what changed here while it was lost.
   *
   * @returns false when the lease ran out meanwhile
   */
  async #replayChanges(): Promise<boolean> {
    let keptAt = this.#options.now();
    // Requests go on meanwhile, and change more. Users come first: a member depends on whether its
    // user is connected.
    while (this.#moved.size > 0 || this.#changed.size > 0) {
      if (this.#moved.size > 0)
        await Promise.all(
          [...this.#moved].slice(0, CONCURRENCY).map((userId) => this.#tellUser(userId)),
        );
      else
        await Promise.all(
          [...this.#changed]
            .slice(0, CONCURRENCY)
            .map(([key, { room, userId }]) => this.#tellMember(key, room, userId)),
        );
      if (this.#options.now() - keptAt < SWEEP_MS) continue;
      if (!(await this.#backend.keep())) return false;
      keptAt = this.#options.now();
    }
    return true;
  }

  async #tellUser(userId: string): Promise<void> {
    this.#moved.delete(userId);
    try {
      const will = this.#table.connectedUsers().get(userId);
      if (will === undefined) await this.#backend.disconnect(userId, null);
      else await this.#backend.connect(userId, will);
    } catch (error) {
      this.#moved.add(userId);
      throw error;
    }
  }

  async #tellMember(key: string, room: string, userId: string): Promise<void> {
    this.#changed.delete(key);
    try {
      const member = this.#table.find(room, userId);
      if (member === undefined) await this.#backend.leave(room, userId);
      else await this.#backend.register(member, this.#options.now());
    } catch (error) {
      this.#changed.set(key, { room, userId });
      throw error;
    }
  }

  async #keep(): Promise<void> {
    if (!this.#isOnline) {
      for (const { room, userId } of this.#memory.sweep()) this.#noteMember(room, userId);
      return;
    }
    // Here the table only forgets whom it answers for no more.
    this.#table.sweep();
    // Nobody waits for a replica that has nobody: it looks after the others half as often.
    const isIdle = this.#table.connectedUsers().size === 0 && this.#table.isEmpty;
    this.#hasSkipped = isIdle && !this.#hasSkipped;
    if (this.#hasSkipped || this.#isKeeping) return;
    this.#isKeeping = true;
    await this.#ask(
      async () => {
        if (!(await this.#backend.keep())) this.#goOffline();
      },
      () => Promise.resolve(),
    ).finally(() => {
      this.#isKeeping = false;
    });
  }

  #seconds(): number {
    return Math.floor(this.#options.now() / 1000);
  }
}

function keyOf(room: string, userId: string): string {
  return JSON.stringify([room, userId]);
}
