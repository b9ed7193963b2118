import * as v from "valibot";
import { ChangeEventSchema } from "./change.ts";
import { ReplicaSchemaSchema } from "./pull.ts";
import { PresenceMessageSchema, RoomEventSchema, TopicMessageSchema } from "./rooms.ts";

/**
 * First message on a socket that was opened with `?since=`: all changes after `seq` follow on this
 * socket, none is left out. The server first sends what happened between `since` and `seq`.
 */
export const HelloSchema = v.object({
  type: v.literal("hello"),
  seq: v.number(),
  epoch: v.string(),
  /** Of version 2 only, which pulls nothing: see ReplicaSchemaSchema. */
  schema: v.optional(ReplicaSchemaSchema),
});
/** See HelloSchema. */
export type Hello = v.InferOutput<typeof HelloSchema>;

/**
 * The replica can't be continued from where it is (too old, schema or policies changed): pull a
 * snapshot.
 */
export const ResyncSchema = v.object({ type: v.literal("resync"), reason: v.string() });
/** See ResyncSchema. */
export type Resync = v.InferOutput<typeof ResyncSchema>;

/**
 * What a server sends on the WebSocket and, as `data:` lines, on the SSE stream. A change comes
 * bare, without an envelope. A client ignores types it does not know.
 */
export const ServerMessageSchema = v.union([
  ChangeEventSchema,
  HelloSchema,
  ResyncSchema,
  RoomEventSchema,
  PresenceMessageSchema,
  TopicMessageSchema,
]);
/** See ServerMessageSchema. */
export type ServerMessage = v.InferOutput<typeof ServerMessageSchema>;

/**
 * Why a server closes a socket. `GOING_AWAY` and `TRY_AGAIN_LATER` mean: connect again; the others
 * would be answered the same again.
 */
export const CloseCode = {
  GOING_AWAY: 1001,
  UNAUTHORIZED: 1008,
  /** The client reads too slowly, or the server is full. */
  TRY_AGAIN_LATER: 1013,
  /** The session that opened the socket was revoked or has expired. */
  SESSION_ENDED: 4401,
  /** A shard sent the player away. */
  KICKED: 4403,
  /** There is no such shard. */
  SHARD_NOT_FOUND: 4404,
  /** The shard is over. */
  SHARD_ENDED: 4410,
} as const;
/** One of the numbers of CloseCode. */
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

/** The subprotocol that carries a token from a browser, which can't set headers on a WebSocket. */
export function bearerProtocol(token: string): string {
  return `bearer.${encodeURIComponent(token)}`;
}

/**
 * The token in an `Sec-WebSocket-Protocol` header, with the entry to echo back.
 *
 * @returns null when there is no `bearer.` entry or its percent-encoding is broken.
 */
export function parseBearerProtocol(
  header: string | null,
): { token: string; protocol: string } | null {
  for (const entry of (header ?? "").split(",")) {
    const protocol = entry.trim();
    if (!protocol.startsWith("bearer.")) continue;
    try {
      const token = decodeURIComponent(protocol.slice("bearer.".length).replaceAll("+", " "));
      return token === "" ? null : { token, protocol };
    } catch {
      return null;
    }
  }
  return null;
}
