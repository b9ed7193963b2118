import { PylonError } from "@pylonsync/protocol";
import type { Log } from "../../observe/log.ts";
import { LinkLostError, type ReplicaLink, type Value } from "../../store/store.ts";
import { errorCode } from "../../util/errors.ts";
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
import { ROOM_REFUSALS, roomFunction } from "./functions.ts";

/** The maximum that one call sweeps or hands over, because its locks are held until its end. */
const BATCH = 200;
/**
 * The queue of these calls is separate from those of users: a lease must be renewed however many
 * calls users make.
 */
const OWN = "";
/**
 * Without these calls the backend would not know this replica's members: they wait for their turn,
 * and if they fail the backend counts as lost.
 */
const ESSENTIAL = new Set(["enter", "keep", "retire", "connect", "disconnect", "register"]);
/** A lock timeout or a deadlock: nothing was changed. */
const BUSY = new Set(["55P03", "40P01"]);

type Row = Readonly<Record<string, Value>>;

/** The rooms in Postgres: one replica's calls of the functions there. */
export class PostgresRooms implements RoomBackend {
  readonly name = "postgres";
  readonly part = "rooms";
  readonly replica: string;
  readonly #link: ReplicaLink;
  readonly #times: RoomTimes;

  /** @param replica the id of this replica */
  constructor(link: ReplicaLink, times: RoomTimes, replica: string, log: Log) {
    this.replica = replica;
    this.#link = link;
    this.#times = times;
    link.onChange((state) => {
      if (state === "up") log.info("rooms are shared through postgres");
      else if (state === "lost")
        log.warn("postgres unavailable: rooms are per replica until it is back");
      else {
        log.warn("notifications are not delivered by postgres, so rooms are per replica", {
          hint:
            "A pooler in transaction mode does not support them: use the server itself or a " +
            "session pooler in DATABASE_URL, or set REDIS_URL.",
        });
      }
    });
  }

  get isUp(): boolean {
    return this.#link.isUp;
  }
  onChange(listener: (isUp: boolean) => void): () => void {
    return this.#link.onChange((state) => listener(state === "up"));
  }
  onMessage(listener: (message: ChannelMessage) => void): void {
    this.#link.onMessage((text) => listener(decode(text)));
  }
  isLoss(error: unknown): boolean {
    return error instanceof LinkLostError;
  }

  async enter(isReturning: boolean): Promise<boolean> {
    const { leaseMs, graceMs } = this.#times;
    return (await this.#value(OWN, "enter", this.replica, leaseMs, graceMs, isReturning)) === true;
  }

  async keep(): Promise<boolean> {
    for (;;) {
      const [row] = await this.#rows(OWN, "keep", this.replica, this.#times.leaseMs, BATCH);
      if (row?.["has_more"] !== true) return row?.["is_alive"] === true;
    }
  }

  async retire(): Promise<void> {
    while (
      (await this.#value(OWN, "retire", this.replica, this.#times.handOverMs, BATCH)) === true
    );
  }

  async join(room: string, userId: string, data: unknown): Promise<StoredMember[]> {
    const { text } = joinMessage(room, userId, data);
    const args = [
      this.replica,
      escape(room),
      escape(userId),
      toText(data),
      text,
      this.#times.idleMs,
      MAX_ROOMS,
      MAX_ROOMS_OF_USER,
    ];
    return (await this.#rows(userId, "join", ...args)).map(toStored);
  }

  async leave(room: string, userId: string): Promise<boolean> {
    return (await this.#value(userId, "leave", escape(room), escape(userId))) === true;
  }

  async setPresence(room: string, userId: string, data: unknown): Promise<boolean> {
    const { text } = presenceMessage(room, userId, data);
    return (
      (await this.#value(
        userId,
        "presence",
        this.replica,
        escape(room),
        escape(userId),
        toText(data),
        text,
        this.#times.idleMs,
      )) === true
    );
  }

  async broadcast(room: string, as: string | null, text: string): Promise<BroadcastResult> {
    const key = as ?? room;
    const args = [this.replica, escape(room), escape(as ?? ""), text, this.#times.idleMs];
    return toBroadcastResult(await this.#value(key, "broadcast", ...args));
  }

  async members(room: string, as: string | null): Promise<StoredMember[] | null> {
    try {
      return (
        await this.#rows(
          as ?? room,
          "members",
          this.replica,
          escape(room),
          escape(as ?? ""),
          this.#times.idleMs,
        )
      ).map(toStored);
    } catch (error) {
      if (errorCode(error) === ROOM_REFUSALS.notInRoom) return null;
      throw error;
    }
  }

  async rooms(of: string | null): Promise<RoomSize[]> {
    const rows = await this.#rows(of ?? "all rooms", "rooms", escape(of ?? ""));
    return rows.map((row) => ({ name: unescape(row["name"]), members: Number(row["members"]) }));
  }

  async send(message: TenantMessage): Promise<void> {
    await this.#value(`tenant ${message.tenantId ?? ""}`, "send", encode(message));
  }

  async connect(userId: string, will: TenantMessage): Promise<StoredMember[]> {
    return (await this.#rows(userId, "connect", this.replica, escape(userId), encode(will))).map(
      toStored,
    );
  }

  async disconnect(userId: string, will: TenantMessage | null): Promise<void> {
    await this.#value(
      userId,
      "disconnect",
      this.replica,
      escape(userId),
      will === null ? "" : encode(will),
      this.#times.graceMs,
    );
  }

  async register(member: Member, now: number): Promise<void> {
    const [room, userId] = [escape(member.room), escape(member.userId)];
    const rest = registrationOf(member, this.#times, now);
    await this.#value(member.userId, "register", this.replica, room, userId, ...rest);
  }

  /** @param key calls with the same key run in order */
  async #value(key: string, name: string, ...args: readonly Value[]): Promise<Value> {
    const [row] = await this.#rows(key, name, ...args);
    return row?.[Object.keys(row)[0] ?? ""] ?? null;
  }

  async #rows(key: string, name: string, ...args: readonly Value[]): Promise<Row[]> {
    const mayBeRefused = !ESSENTIAL.has(name);
    const places = args.map((_, index) => `$${index + 1}`).join(", ");
    try {
      return await this.#link.call(
        key,
        `SELECT * FROM ${roomFunction(name)}(${places})`,
        args,
        mayBeRefused,
      );
    } catch (error) {
      const code = errorCode(error);
      if (code === ROOM_REFUSALS.rooms) throw tooManyRooms();
      if (code === ROOM_REFUSALS.roomsOfUser) throw tooManyRoomsOfUser();
      if (mayBeRefused && BUSY.has(code))
        throw new PylonError("OVERLOADED", "Too many concurrent calls in one room.", {
          hint: "Nothing was changed. Try again.",
          extra: { retry_after_secs: 1 },
        });
      throw error;
    }
  }
}

/**
 * A name as it appears inside a JSON string: Postgres does not accept the character 0, and would
 * change a lone surrogate.
 */
function escape(name: string): string {
  return JSON.stringify(name).slice(1, -1);
}

function unescape(name: Value | undefined): string {
  return String(JSON.parse(`"${String(name)}"`));
}

function toStored(row: Row): StoredMember {
  return {
    name: unescape(row["name"]),
    data: JSON.parse(String(row["data"])),
    joinedAt: Number(row["joined_at"]),
  };
}
