import { MAX_ROOM_DATA_BYTES, MAX_ROOM_NAME_LENGTH, PylonError } from "@pylonsync/protocol";
import type { Platform } from "../platform.ts";
import type { RoomAccess } from "../policy/room-rules.ts";
import type { RequestContext } from "../request/context.ts";
import { networkOf } from "../util/network.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import type { Reader } from "../store/store.ts";
import { isRecord } from "../util/is-record.ts";
import { GuestRooms } from "./guest-rooms.ts";
import { broadcastText } from "./messages.ts";
import type { RoomGuard } from "./room-guard.ts";
import type { Peer, RoomStore } from "./room-store.ts";

type Body = Readonly<Record<string, unknown>>;

/** The services that the routes of the rooms use. */
export interface RoomServices {
  readonly rooms: RoomStore;
  readonly guard: RoomGuard;
  /** Reads on behalf of a caller, within its quota. */
  readonly reader: (context: RequestContext) => Pick<Reader, "test">;
  readonly platform: Pick<Platform, "monotonic">;
}

/**
 * The routes of the rooms. The server identifies the caller; only the admin may act for another
 * user.
 */
export function roomRoutes(services: RoomServices): Route[] {
  const handlers = new RoomHandlers(services);
  const write = (name: string, handle: Route["handle"]): Route => ({
    method: "POST",
    path: `/api/rooms/${name}`,
    body: "small",
    access: "signed-in",
    scope: "write",
    handle,
  });
  const read = (path: string, handle: Route["handle"]): Route => ({
    method: "GET",
    path,
    access: "signed-in",
    scope: "read",
    handle,
  });
  return [
    write("join", (context) => handlers.join(context)),
    write("leave", (context) => handlers.leave(context)),
    write("presence", (context) => handlers.presence(context)),
    write("broadcast", (context) => handlers.broadcast(context)),
    read("/api/rooms", (context) => handlers.list(context)),
    read("/api/rooms/:room", (context) => handlers.get(context)),
  ];
}

/** The handlers, one method per route. */
class RoomHandlers {
  readonly #store: RoomStore;
  readonly #guests: GuestRooms;
  readonly #guard: RoomGuard;
  readonly #reader: RoomServices["reader"];

  constructor({ rooms, guard, reader, platform }: RoomServices) {
    this.#store = rooms;
    this.#guests = new GuestRooms(rooms, platform.monotonic);
    this.#guard = guard;
    this.#reader = reader;
  }

  async join(context: RequestContext): Promise<Answer> {
    const { caller } = context;
    const body = await readBody(context);
    const room = roomOf(body);
    const userId = userOf(context, body);
    const data = dataOf(body, null);
    await this.#check(context, room, "join");
    const join = () => this.#store.join(room, userId, data);
    const peers = caller.isGuest
      ? await this.#guests.join(networkOf(context.address), userId, room, join)
      : await join();
    // The permission may have ended in the meantime, when this member could not be known yet.
    if (!(await this.#may(context, room, "join"))) {
      await this.#store.leave(room, userId);
      await this.#check(context, room, "join");
    }
    return json({ joined: room, snapshot: { type: "snapshot", room, peers } });
  }

  async leave(context: RequestContext): Promise<Answer> {
    const body = await readBody(context);
    const room = roomOf(body);
    const userId = userOf(context, body);
    const wasPresent = await this.#store.leave(room, userId);
    if (context.caller.isGuest) this.#guests.leave(networkOf(context.address), userId, room);
    return json({ left: room, was_present: wasPresent });
  }

  async presence(context: RequestContext): Promise<Answer> {
    const body = await readBody(context);
    const room = roomOf(body);
    const userId = userOf(context, body);
    const data = dataOf(body, {});
    await this.#check(context, room, "send");
    const isUpdated = await this.#store.setPresence(room, userId, data);
    return json(isUpdated ? { updated: true } : { updated: false, reason: "not_in_room" });
  }

  async broadcast(context: RequestContext): Promise<Answer> {
    const body = await readBody(context);
    const room = roomOf(body);
    const topic = nameIn(body, "topic", "MISSING_TOPIC");
    const { isAdmin, userId } = context.caller;
    const sender = isAdmin ? targetUserId(body) : userId;
    const text = broadcastText(room, sender, topic, dataOf(body, {}));
    await this.#check(context, room, "send");
    const result = await this.#store.broadcast(room, isAdmin ? null : userId, text);
    if (result === "not_in_room") throw notInRoom(room);
    return json(
      result === "sent" ? { broadcasted: true } : { broadcasted: false, reason: "room_empty" },
    );
  }

  async list({ caller }: RequestContext): Promise<Answer> {
    return json(await this.#store.rooms(caller.isAdmin ? null : caller.userId));
  }

  async get(context: RequestContext): Promise<Answer> {
    const room = decodedParam(context, "room");
    const members = await this.#membersFor(context, room);
    if (members === null) throw notInRoom(room);
    return json({ room, members, count: members.length });
  }

  async #membersFor(context: RequestContext, room: string): Promise<Peer[] | null> {
    const { isAdmin, userId } = context.caller;
    const asMember =
      isAdmin || (await this.#may(context, room, "join"))
        ? await this.#store.members(room, isAdmin ? null : userId)
        : null;
    if (asMember !== null || !(await this.#may(context, room, "see"))) return asMember;
    return this.#store.members(room, null);
  }

  #may(context: RequestContext, room: string, access: RoomAccess): Promise<boolean> {
    return this.#guard.may(this.#reader(context), context.caller, room, access);
  }

  #check(context: RequestContext, room: string, access: RoomAccess): Promise<void> {
    return this.#guard.check(this.#reader(context), context.caller, room, access);
  }
}

async function readBody(context: RequestContext): Promise<Body> {
  const body = await context.json();
  if (!isRecord(body)) throw new PylonError("INVALID_JSON", "The body must be a JSON object.");
  return body;
}

function roomOf(body: Body): string {
  return nameIn(body, "room", "MISSING_ROOM");
}

function nameIn(body: Body, field: string, missing: "MISSING_ROOM" | "MISSING_TOPIC"): string {
  const value = body[field];
  if (typeof value !== "string" || value === "")
    throw new PylonError(missing, `"${field}" is missing.`, { field });
  return checkLength(value, field);
}

function checkLength(value: string, field: string): string {
  if (value.length > MAX_ROOM_NAME_LENGTH)
    throw new PylonError(
      "INVALID_DATA",
      `"${field}" has more than ${MAX_ROOM_NAME_LENGTH} characters.`,
      {
        field,
      },
    );
  return value;
}

/** @throws PylonError MISSING_FIELD for the admin, who is not a user, without a `user_id` */
function userOf({ caller }: RequestContext, body: Body): string {
  if (!caller.isAdmin && caller.userId !== null) return caller.userId;
  const userId = targetUserId(body);
  if (userId === null)
    throw new PylonError("MISSING_FIELD", '"user_id" is missing.', {
      field: "user_id",
      hint: "The admin token does not belong to a user: send the id of a user.",
    });
  return userId;
}

function targetUserId({ user_id: userId }: Body): string | null {
  return typeof userId === "string" && userId !== "" ? checkLength(userId, "user_id") : null;
}

function dataOf({ data = null }: Body, fallback: unknown): unknown {
  if (data === null) return fallback;
  if (Buffer.byteLength(JSON.stringify(data)) > MAX_ROOM_DATA_BYTES) {
    throw new PylonError(
      "PAYLOAD_TOO_LARGE",
      `"data" is larger than ${MAX_ROOM_DATA_BYTES / 1024} KiB.`,
      { field: "data" },
    );
  }
  return data;
}

/** A room's name may contain any character, percent-encoded. */
function decodedParam(context: RequestContext, name: string): string {
  return checkLength(context.param(name), name);
}

function notInRoom(room: string): PylonError {
  return new PylonError("FORBIDDEN", `You are not in the room "${room.slice(0, 80)}".`, {
    hint: "Call POST /api/rooms/join first.",
  });
}
