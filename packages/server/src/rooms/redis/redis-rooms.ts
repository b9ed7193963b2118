import { RedisLostError, type Redis } from "../../cache/redis.ts";
import type { Member } from "../memory/room-table.ts";
import { joinMessage, presenceMessage, tooManyRooms, tooManyRoomsOfUser } from "../messages.ts";
import {
  MAX_ROOMS,
  MAX_ROOMS_OF_USER,
  type BroadcastResult,
  type RoomSize,
  type RoomTimes,
  type TenantMessage,
} from "../room-store.ts";
import {
  decode,
  encode,
  registrationOf,
  toBroadcastResult,
  toText,
  type ChannelMessage,
  type RoomBackend,
  type StoredMember,
} from "../shared/room-backend.ts";
import { channelOf, scriptsOf, type ScriptName } from "./scripts.ts";

const BATCH = 500;

/**
 * The rooms in Redis: one replica's calls of the scripts. They throw the errors of Redis, including
 * RedisLostError.
 */
export class RedisRooms implements RoomBackend {
  readonly name = "redis";
  readonly part = "redis";
  readonly replica: string;
  readonly #redis: Redis;
  readonly #times: RoomTimes;
  readonly #hashes = new Map<string, string>();

  /** @param replica the id of this replica */
  constructor(redis: Redis, times: RoomTimes, replica: string) {
    this.replica = replica;
    this.#redis = redis;
    this.#times = times;
  }

  get isUp(): boolean {
    return this.#redis.isUp;
  }
  onChange(listener: (isUp: boolean) => void): () => void {
    return this.#redis.onChange(listener);
  }
  onMessage(listener: (message: ChannelMessage) => void): void {
    this.#redis.subscribe(channelOf(this.#redis.namespace), (encoded) => listener(decode(encoded)));
  }
  isLoss(error: unknown): boolean {
    return error instanceof RedisLostError;
  }

  async enter(isReturning: boolean): Promise<boolean> {
    for (const [name, text] of scriptsOf(this.#redis.namespace))
      this.#hashes.set(name, await this.#redis.run((commands) => commands.scriptLoad(text)));
    return (
      (await this.#call(
        "enter",
        this.replica,
        this.#times.leaseMs,
        this.#times.graceMs,
        isReturning ? "1" : "0",
      )) === 1
    );
  }

  async keep(): Promise<boolean> {
    if ((await this.#call("renew", this.replica, this.#times.leaseMs)) !== 1) return false;
    while ((await this.#call("sweep", BATCH)) === -1);
    return true;
  }

  async retire(): Promise<void> {
    while ((await this.#call("retire", this.replica, this.#times.handOverMs, BATCH)) === 1);
  }

  async join(room: string, userId: string, data: unknown): Promise<StoredMember[]> {
    const { text } = joinMessage(room, userId, data);
    const args = [
      this.replica,
      room,
      userId,
      toText(data),
      text,
      this.#times.idleMs,
      MAX_ROOMS,
      MAX_ROOMS_OF_USER,
    ];
    const [outcome, ...rest] = toTexts(await this.#call("join", ...args));
    if (outcome === "rooms") throw tooManyRooms();
    if (outcome === "rooms_of_user") throw tooManyRoomsOfUser();
    return toStored(rest);
  }

  async leave(room: string, userId: string): Promise<boolean> {
    return (await this.#call("leave", room, userId)) === 1;
  }

  async setPresence(room: string, userId: string, data: unknown): Promise<boolean> {
    const { text } = presenceMessage(room, userId, data);
    return (
      (await this.#call(
        "presence",
        this.replica,
        room,
        userId,
        toText(data),
        text,
        this.#times.idleMs,
      )) === 1
    );
  }

  async broadcast(room: string, as: string | null, text: string): Promise<BroadcastResult> {
    const args = [this.replica, room, as ?? "", text, this.#times.idleMs];
    return toBroadcastResult(await this.#call("broadcast", ...args));
  }

  async members(room: string, as: string | null): Promise<StoredMember[] | null> {
    const args = [this.replica, room, as ?? "", this.#times.idleMs];
    const found = await this.#call("members", ...args);
    return found === null ? null : toStored(toTexts(found));
  }

  async rooms(of: string | null): Promise<RoomSize[]> {
    return pairs(toTexts(await this.#call("rooms", of ?? ""))).map(([name, members]) => ({
      name,
      members: Number(members),
    }));
  }

  async connect(userId: string, will: TenantMessage): Promise<StoredMember[]> {
    return toStored(toTexts(await this.#call("connect", this.replica, userId, encode(will))));
  }

  async disconnect(userId: string, will: TenantMessage | null): Promise<void> {
    await this.#call(
      "disconnect",
      this.replica,
      userId,
      will === null ? "" : encode(will),
      this.#times.graceMs,
    );
  }

  async register(member: Member, now: number): Promise<void> {
    const { room, userId } = member;
    const rest = registrationOf(member, this.#times, now);
    await this.#call("register", this.replica, room, userId, ...rest);
  }

  async send(message: TenantMessage): Promise<void> {
    await this.#redis.run((commands) =>
      commands.publish(channelOf(this.#redis.namespace), encode(message)),
    );
  }

  #call(name: ScriptName, ...args: readonly (string | number)[]): Promise<unknown> {
    return this.#redis.run((commands) =>
      commands.evalSha(this.#hashes.get(name) ?? "", { keys: [], arguments: args.map(String) }),
    );
  }
}

/** Checks that the result of a script is a list of texts. @throws Error for anything else */
function toTexts(answer: unknown): string[] {
  if (!Array.isArray(answer)) throw new Error("A Redis script of the rooms did not return a list.");
  return answer.map(String);
}

/** Parses `[name, "<joined at> <data>", ...]`. */
function toStored(flat: readonly string[]): StoredMember[] {
  return pairs(flat).map(([name, record]) => {
    const space = record.indexOf(" ");
    return {
      name,
      joinedAt: Number(record.slice(0, space)),
      data: JSON.parse(record.slice(space + 1)),
    };
  });
}

function pairs(flat: readonly string[]): [string, string][] {
  return Array.from({ length: flat.length / 2 }, (_, index) => [
    flat[2 * index] ?? "",
    flat[2 * index + 1] ?? "",
  ]);
}
