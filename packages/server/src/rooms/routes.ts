import { MAX_ROOM_DATA_BYTES, MAX_ROOM_NAME_LENGTH, PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { networkOf } from "../request/network.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { GuestRooms } from "./guest-rooms.ts";
import { broadcastText } from "./messages.ts";
import type { RoomStore } from "./room-store.ts";

type Body = Readonly<Record<string, unknown>>;

/**
 * The routes of the rooms. The server says who a caller is; only the admin may speak for another
 * user.
 */
export function roomRoutes(store: RoomStore): Route[] {
  const guests = new GuestRooms(store, () => performance.now());

  const join = async (context: RequestContext): Promise<Answer> => {
    const body = await readBody(context);
    const room = roomOf(body);
    if (context.caller.isGuest && context.caller.userId !== null)
      await guests.take(networkOf(context.address), context.caller.userId, room);
    const peers = await store.join(room, userOf(context, body), dataOf(body, null));
    return json({ joined: room, snapshot: { type: "snapshot", room, peers } });
  };

  const leave = async (context: RequestContext): Promise<Answer> => {
    const body = await readBody(context);
    const room = roomOf(body);
    const userId = userOf(context, body);
    const wasPresent = await store.leave(room, userId);
    if (context.caller.isGuest) guests.leave(networkOf(context.address), userId, room);
    return json({ left: room, was_present: wasPresent });
  };

  const presence = async (context: RequestContext): Promise<Answer> => {
    const body = await readBody(context);
    const room = roomOf(body);
    const isUpdated = await store.setPresence(room, userOf(context, body), dataOf(body, {}));
    return json(isUpdated ? { updated: true } : { updated: false, reason: "not_in_room" });
  };

  const broadcast = async (context: RequestContext): Promise<Answer> => {
    const body = await readBody(context);
    const room = roomOf(body);
    const topic = nameIn(body, "topic", "MISSING_TOPIC");
    const { isAdmin, userId } = context.caller;
    const sender = isAdmin ? spokenFor(body) : userId;
    const result = await store.broadcast(
      room,
      isAdmin ? null : userId,
      broadcastText(room, sender, topic, dataOf(body, {})),
    );
    if (result === "not_in_room") throw notInRoom(room);
    return json(
      result === "sent" ? { broadcasted: true } : { broadcasted: false, reason: "room_empty" },
    );
  };

  const list = async ({ caller }: RequestContext): Promise<Answer> =>
    json(await store.rooms(caller.isAdmin ? null : caller.userId));

  const get = async (context: RequestContext): Promise<Answer> => {
    const room = decodedParam(context, "room");
    const { isAdmin, userId } = context.caller;
    const members = await store.members(room, isAdmin ? null : userId);
    if (members === null) throw notInRoom(room);
    return json({ room, members, count: members.length });
  };

  return [
    {
      method: "POST",
      path: "/api/rooms/join",
      body: "small",
      access: "signed-in",
      scope: "write",
      handle: join,
    },
    {
      method: "POST",
      path: "/api/rooms/leave",
      body: "small",
      access: "signed-in",
      scope: "write",
      handle: leave,
    },
    {
      method: "POST",
      path: "/api/rooms/presence",
      body: "small",
      access: "signed-in",
      scope: "write",
      handle: presence,
    },
    {
      method: "POST",
      path: "/api/rooms/broadcast",
      body: "small",
      access: "signed-in",
      scope: "write",
      handle: broadcast,
    },
    { method: "GET", path: "/api/rooms", access: "signed-in", scope: "read", handle: list },
    { method: "GET", path: "/api/rooms/:room", access: "signed-in", scope: "read", handle: get },
  ];
}

async function readBody(context: RequestContext): Promise<Body> {
  const body = await context.json();
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new PylonError("INVALID_JSON", "The body is not a JSON object.");
  return body as Body;
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

/** @throws PylonError MISSING_FIELD for the admin, who is nobody, without a `user_id` */
function userOf({ caller }: RequestContext, body: Body): string {
  if (!caller.isAdmin && caller.userId !== null) return caller.userId;
  const userId = spokenFor(body);
  if (userId === null)
    throw new PylonError("MISSING_FIELD", '"user_id" is missing.', {
      field: "user_id",
      hint: "The admin token belongs to no user: name the user that this is about.",
    });
  return userId;
}

function spokenFor({ user_id: userId }: Body): string | null {
  return typeof userId === "string" && userId !== "" ? checkLength(userId, "user_id") : null;
}

function dataOf({ data = null }: Body, fallback: unknown): unknown {
  if (data === null) return fallback;
  if (Buffer.byteLength(JSON.stringify(data)) > MAX_ROOM_DATA_BYTES) {
    throw new PylonError(
      "PAYLOAD_TOO_LARGE",
      `"data" takes more than ${MAX_ROOM_DATA_BYTES / 1024} KiB.`,
      { field: "data" },
    );
  }
  return data;
}

/** A room's name may have any character, percent-encoded. */
function decodedParam(context: RequestContext, name: string): string {
  return checkLength(context.param(name), name);
}

function notInRoom(room: string): PylonError {
  return new PylonError("FORBIDDEN", `You are not in the room "${room.slice(0, 80)}".`, {
    hint: "POST /api/rooms/join first.",
  });
}
