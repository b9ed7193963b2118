import { PylonError } from "@pylonsync/protocol";
import {
  MAX_ROOMS,
  MAX_ROOMS_OF_USER,
  type Peer,
  type RoomMessage,
  type TenantMessage,
} from "./room-store.ts";

/** The message that a user has joined. @param data undefined: the user published no data */
export function joinMessage(room: string, userId: string, data: unknown): RoomMessage {
  const text = JSON.stringify({
    type: "join",
    room,
    user_id: userId,
    ...(data === undefined || data === null ? {} : { data }),
  });
  return { kind: "join", room, userId, text };
}

/** The message that a user has left. */
export function leaveMessage(room: string, userId: string): RoomMessage {
  return {
    kind: "leave",
    room,
    userId,
    text: JSON.stringify({ type: "leave", room, user_id: userId }),
  };
}

/** The message with a member's presence data. */
export function presenceMessage(room: string, userId: string, data: unknown): RoomMessage {
  return {
    kind: "presence",
    room,
    userId,
    text: JSON.stringify({ type: "presence", room, user_id: userId, data }),
  };
}

/** The current members, as `join` returns them, in a message. */
export function snapshotMessage(room: string, peers: readonly Peer[]): RoomMessage {
  return {
    kind: "snapshot",
    room,
    userId: "",
    text: JSON.stringify({ type: "snapshot", room, peers }),
  };
}

/** The text of a broadcast. @param sender null: the admin, who is not a user */
export function broadcastText(
  room: string,
  sender: string | null,
  topic: string,
  data: unknown,
): string {
  return JSON.stringify({
    type: "broadcast",
    room,
    ...(sender === null ? {} : { sender }),
    topic,
    data,
  });
}

/**
 * The message, for those who received something from a user, that it no longer has a connection.
 *
 * @param clientId the connection's number on its server
 */
export function disconnectMessage(
  tenantId: string | null,
  userId: string,
  clientId: number,
): TenantMessage {
  return {
    kind: "tenant",
    tenantId,
    rooms: null,
    userId,
    about: "gone",
    text: JSON.stringify({ type: "presence", event: "disconnect", clientId, from: userId }),
  };
}

/** A member as the API shows it. @param joinedAt seconds since 1970 */
export function toPeer(userId: string, data: unknown, joinedAt: number): Peer {
  return {
    user_id: userId,
    data: data ?? null,
    joined_at: new Date(joinedAt * 1000).toISOString(),
  };
}

/** The error if no further room may be created. */
export function tooManyRooms(): PylonError {
  return new PylonError(
    "ROOM_LIMIT_REACHED",
    `The maximum of ${MAX_ROOMS} rooms has been reached.`,
    {
      field: "room",
      hint: "A room is deleted when its last member leaves.",
    },
  );
}

/** The error if the user may join no further room. */
export function tooManyRoomsOfUser(): PylonError {
  return new PylonError(
    "ROOM_LIMIT_REACHED",
    `The user is already in ${MAX_ROOMS_OF_USER} rooms.`,
    { field: "room", hint: "Leave a room first." },
  );
}
