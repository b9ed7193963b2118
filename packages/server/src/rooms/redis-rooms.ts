import type { Redis } from "../cache/redis.ts";
import { joinMessage, presenceMessage, tooManyRooms, tooManyRoomsOfUser, toPeer } from "./messages.ts";
import { channelOf, scriptsOf, type ScriptName } from "./room-scripts.ts";
import { MAX_ROOMS, MAX_ROOMS_OF_USER, type BroadcastResult, type Peer, type RoomMessage, type RoomSize, type RoomTimes, type TenantMessage } from "./room-store.ts";
import type { Member } from "./room-table.ts";

const BATCH = 500;

/** A member as Redis keeps it. */
export interface StoredMember {
  readonly name: string;
  readonly data: unknown;
  readonly joinedAt: number;
}

/** A message of the channel. `origin`: the replica that caused it; of a leave, the replica whose lease ran out. */
export type ChannelMessage = TenantMessage | (RoomMessage & { readonly origin: string; readonly joinedAt: number });

/** One replica's calls of the rooms' scripts. They throw what Redis throws; RedisLostError among it. */
export class RedisRooms {
  readonly replica: string;
  readonly #redis: Redis;
  readonly #times: RoomTimes;
  readonly #hashes = new Map<ScriptName, string>();

  constructor(redis: Redis, replica: string, times: RoomTimes) {
    this.#redis = redis;
    this.replica = replica;
    this.#times = times;
  }

  /** Takes a lease. @param isReturning after a loss of Redis @returns whether the old lease was still good: Redis has what we told it */
  async enter(isReturning: boolean): Promise<boolean> {
    for (const [name, text] of scriptsOf(this.#redis.namespace)) this.#hashes.set(name, await this.#redis.run((commands) => commands.scriptLoad(text)));
    return (await this.#call("enter", this.replica, this.#times.leaseMs, this.#times.graceMs, isReturning ? "1" : "0")) === 1;
  }

  /** @returns false when the lease had run out */
  async renew(): Promise<boolean> {
    return (await this.#call("renew", this.replica, this.#times.leaseMs)) === 1;
  }

  async join(room: string, userId: string, data: unknown): Promise<Peer[]> {
    const { text } = joinMessage(room, userId, data);
    const args = [this.replica, room, userId, toText(data), text, this.#times.idleMs, MAX_ROOMS, MAX_ROOMS_OF_USER];
    const [outcome, ...rest] = (await this.#call("join", ...args)) as string[];
    if (outcome === "rooms") throw tooManyRooms();
    if (outcome === "rooms_of_user") throw tooManyRoomsOfUser();
    return toStored(rest).map(storedPeer);
  }

  async leave(room: string, userId: string): Promise<boolean> {
    return (await this.#call("leave", room, userId)) === 1;
  }

  async setPresence(room: string, userId: string, data: unknown): Promise<boolean> {
    const { text } = presenceMessage(room, userId, data);
    return (await this.#call("presence", this.replica, room, userId, toText(data), text, this.#times.idleMs)) === 1;
  }

  async broadcast(room: string, as: string | null, text: string): Promise<BroadcastResult> {
    return (await this.#call("broadcast", this.replica, room, as ?? "", text, this.#times.idleMs)) as BroadcastResult;
  }

  async members(room: string, as: string | null): Promise<StoredMember[] | null> {
    const found = (await this.#call("members", this.replica, room, as ?? "", this.#times.idleMs)) as string[] | null;
    return found === null ? null : toStored(found);
  }

  async rooms(of: string | null): Promise<RoomSize[]> {
    const found = (await this.#call("rooms", of ?? "")) as string[];
    return pairs(found).map(([name, members]) => ({ name, members: Number(members) }));
  }

  /** @returns the user's rooms, with the user's own record in each */
  async connect(userId: string, will: TenantMessage): Promise<StoredMember[]> {
    return toStored((await this.#call("connect", this.replica, userId, encode(will))) as string[]);
  }

  async disconnect(userId: string, will: TenantMessage | null): Promise<void> {
    await this.#call("disconnect", this.replica, userId, will === null ? "" : encode(will), this.#times.graceMs);
  }

  async register({ room, userId, data, joinedAt, dueAt }: Member, now: number): Promise<void> {
    const stays = dueAt === null ? this.#times.graceMs : Math.max(1, Math.round(dueAt - now));
    const texts = [joinMessage(room, userId, data).text, presenceMessage(room, userId, data).text];
    await this.#call("register", this.replica, room, userId, toText(data), joinedAt, ...texts, stays);
  }

  async sweep(): Promise<void> {
    while ((await this.#call("sweep", BATCH)) === -1);
  }

  async retire(): Promise<void> {
    while ((await this.#call("retire", this.replica, this.#times.handOverMs, BATCH)) === 1);
  }

  async send(message: TenantMessage): Promise<void> {
    await this.#redis.run((commands) => commands.publish(channelOf(this.#redis.namespace), encode(message)));
  }

  #call(name: ScriptName, ...args: readonly (string | number)[]): Promise<unknown> {
    return this.#redis.run((commands) => commands.evalSha(this.#hashes.get(name) ?? "", { keys: [], arguments: args.map(String) }));
  }
}

/** A message as it came over the channel. */
export function decode(encoded: string): ChannelMessage {
  const end = encoded.indexOf("\n");
  const text = encoded.slice(end + 1);
  const [kind, name, userId = "", origin = "", joinedAt = 0] = JSON.parse(encoded.slice(0, end)) as [string, string | null, string?, string?, (string | number)?];
  if (kind === "tenant") return { kind, tenantId: name, text };
  return { kind: kind as RoomMessage["kind"], room: name ?? "", userId, origin, joinedAt: Number(joinedAt), text };
}

function encode({ tenantId, text }: TenantMessage): string {
  return `${JSON.stringify(["tenant", tenantId])}\n${text}`;
}

export function storedPeer({ name, data, joinedAt }: StoredMember): Peer {
  return toPeer(name, data, joinedAt);
}

function toText(data: unknown): string {
  return JSON.stringify(data ?? null);
}

/** From `[name, "<joined at> <data>", ...]`. */
function toStored(flat: readonly string[]): StoredMember[] {
  return pairs(flat).map(([name, record]) => {
    const space = record.indexOf(" ");
    return { name, joinedAt: Number(record.slice(0, space)), data: JSON.parse(record.slice(space + 1)) as unknown };
  });
}

function pairs(flat: readonly string[]): [string, string][] {
  return Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index] ?? "", flat[2 * index + 1] ?? ""]);
}
