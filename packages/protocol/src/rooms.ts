import {
  anyOf,
  arrayOf,
  isNumber,
  isString,
  isUnknown,
  objectOf,
  oneOf,
  type Guarded,
} from "./guard.ts";

/**
 * Sends presence data of a user to the members of its rooms, or to all users in its tenant if the
 * app configures it. `from` is set by the server.
 */
export const isPresenceMessage = /* @__PURE__ */ anyOf(
  objectOf({
    type: oneOf("presence"),
    event: oneOf("update"),
    data: isUnknown,
    from: isString,
  }),
  /**
   * The last connection of a user has closed whose presence or topics this client has received.
   * `clientId` is the connection's number on its server.
   */
  objectOf(
    { type: oneOf("presence"), event: oneOf("disconnect"), clientId: isNumber },
    { from: isString },
  ),
);
/** See isPresenceMessage. */
export type PresenceMessage = Guarded<typeof isPresenceMessage>;

/** A message that a client published to the same users. */
export const isTopicMessage = /* @__PURE__ */ objectOf({
  type: oneOf("topic"),
  topic: isString,
  data: isUnknown,
  from: isString,
});
/** See isTopicMessage. */
export type TopicMessage = Guarded<typeof isTopicMessage>;

/** A member of a room. */
export const isRoomPeer = /* @__PURE__ */ objectOf({
  user_id: isString,
  /** The user's presence; null for none. */
  data: isUnknown,
  /** ISO 8601, UTC. */
  joined_at: isString,
});
/** See isRoomPeer. */
export type RoomPeer = Guarded<typeof isRoomPeer>;

/** The members of a room. */
export const isRoomSnapshot = /* @__PURE__ */ objectOf({
  type: oneOf("snapshot"),
  room: isString,
  peers: arrayOf(isRoomPeer),
});

/**
 * An event in a room, for its members. A snapshot is sent when the server may have missed events.
 */
export const isRoomEvent = /* @__PURE__ */ anyOf(
  objectOf({ type: oneOf("join"), room: isString, user_id: isString }, { data: isUnknown }),
  objectOf({ type: oneOf("leave"), room: isString, user_id: isString }),
  objectOf({ type: oneOf("presence"), room: isString, user_id: isString, data: isUnknown }),
  /** Without a `sender` it was sent by the admin. */
  objectOf(
    { type: oneOf("broadcast"), room: isString, topic: isString, data: isUnknown },
    { sender: isString },
  ),
  isRoomSnapshot,
);
/** See isRoomEvent. */
export type RoomEvent = Guarded<typeof isRoomEvent>;

/** The response of `POST /api/rooms/join`, with the previous members. */
export const isRoomJoined = /* @__PURE__ */ objectOf({
  joined: isString,
  snapshot: isRoomSnapshot,
});
/** The response of `GET /api/rooms/:room`. */
export const isRoomMembers = /* @__PURE__ */ objectOf({
  room: isString,
  members: arrayOf(isRoomPeer),
  count: isNumber,
});
