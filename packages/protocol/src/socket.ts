import { isChangeEvent } from "./change.ts";
import {
  anyOf,
  arrayOf,
  isNumber,
  isString,
  objectOf,
  oneOf,
  type Guard,
  type Guarded,
} from "./guard.ts";
import { isReplicaSchema } from "./pull.ts";
import { isPresenceMessage, isRoomEvent, isTopicMessage } from "./rooms.ts";

const isNames: Guard<readonly string[]> = arrayOf(isString);

/**
 * The first message on a socket that was opened with `?since=`: all changes after `seq` follow on
 * this socket without gaps. The server first sends the changes between `since` and `seq`.
 */
export const isHello = /* @__PURE__ */ objectOf(
  { type: oneOf("hello"), seq: isNumber, epoch: isString },
  {
    /** Only in version 2, which does not pull: see isReplicaSchema. */
    schema: isReplicaSchema,
    /** In version 2: the entities of which the client holds all rows. */
    offline: isNames,
    /** In version 2: the client may push over this socket. */
    push: oneOf(true),
  },
);
/** See isHello. */
export type Hello = Guarded<typeof isHello>;

/** The replica can't be continued (too old, or schema or policies changed): load a snapshot. */
export const isResync = /* @__PURE__ */ objectOf({ type: oneOf("resync"), reason: isString });
/** See isResync. */
export type Resync = Guarded<typeof isResync>;

/**
 * A message of the server on the WebSocket and, as `data:` lines, on the SSE stream. A change is
 * sent without an envelope. Clients ignore unknown types.
 */
export const isServerMessage = /* @__PURE__ */ anyOf(
  isChangeEvent,
  isHello,
  isResync,
  isRoomEvent,
  isPresenceMessage,
  isTopicMessage,
);
/** See isServerMessage. */
export type ServerMessage = Guarded<typeof isServerMessage>;

/**
 * The close codes of the server. After `GOING_AWAY` and `TRY_AGAIN_LATER` clients reconnect; after
 * the others, reconnecting would fail in the same way.
 */
export const CloseCode = {
  GOING_AWAY: 1001,
  UNAUTHORIZED: 1008,
  /** The client reads too slowly, or the server is full. */
  TRY_AGAIN_LATER: 1013,
  /** The session that opened the socket was revoked or has expired. */
  SESSION_ENDED: 4401,
  /** The join token of a shard is invalid or has expired: a new one may work. */
  JOIN_TOKEN_REFUSED: 4402,
  /** The shard removed the player. */
  KICKED: 4403,
  /** The shard does not exist. */
  SHARD_NOT_FOUND: 4404,
  /** The shard has ended. */
  SHARD_ENDED: 4410,
} as const;
/** One of the numbers of CloseCode. */
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

/** Returns the subprotocol with a token, because browsers can't set headers on a WebSocket. */
export function bearerProtocol(token: string): string {
  return `bearer.${encodeURIComponent(token)}`;
}

/**
 * Returns the token in a `Sec-WebSocket-Protocol` header, with the entry to echo.
 *
 * @returns null without a `bearer.` entry, or if its percent-encoding is invalid
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
