import * as v from "valibot";

/**
 * Says something about a user to those who are in a room with it, or to everyone in its tenant
 * where the app says so. `from` is set by the server.
 */
export const PresenceMessageSchema = v.union([
  v.object({
    type: v.literal("presence"),
    event: v.literal("update"),
    data: v.unknown(),
    from: v.string(),
  }),
  /**
   * The last connection of a user has closed, of whom this client was told a presence or a topic.
   * `clientId` is the connection's number on its server.
   */
  v.object({
    type: v.literal("presence"),
    event: v.literal("disconnect"),
    clientId: v.number(),
    from: v.optional(v.string()),
  }),
]);
/** See PresenceMessageSchema. */
export type PresenceMessage = v.InferOutput<typeof PresenceMessageSchema>;

/** What a client published, to the same users. */
export const TopicMessageSchema = v.object({
  type: v.literal("topic"),
  topic: v.string(),
  data: v.unknown(),
  from: v.string(),
});
/** See TopicMessageSchema. */
export type TopicMessage = v.InferOutput<typeof TopicMessageSchema>;

/** Somebody in a room. */
export const RoomPeerSchema = v.object({
  user_id: v.string(),
  /** What the user said about themselves; null for nothing. */
  data: v.unknown(),
  /** ISO 8601, UTC. */
  joined_at: v.string(),
});
/** See RoomPeerSchema. */
export type RoomPeer = v.InferOutput<typeof RoomPeerSchema>;

/** Who is in a room. */
export const RoomSnapshotSchema = v.object({
  type: v.literal("snapshot"),
  room: v.string(),
  peers: v.array(RoomPeerSchema),
});

/**
 * What happened in a room, to its members. A snapshot comes when the server may have missed
 * something.
 */
export const RoomEventSchema = v.union([
  v.object({
    type: v.literal("join"),
    room: v.string(),
    user_id: v.string(),
    data: v.optional(v.unknown()),
  }),
  v.object({ type: v.literal("leave"), room: v.string(), user_id: v.string() }),
  v.object({
    type: v.literal("presence"),
    room: v.string(),
    user_id: v.string(),
    data: v.unknown(),
  }),
  /** Without a `sender` it comes from the admin. */
  v.object({
    type: v.literal("broadcast"),
    room: v.string(),
    sender: v.optional(v.string()),
    topic: v.string(),
    data: v.unknown(),
  }),
  RoomSnapshotSchema,
]);
/** See RoomEventSchema. */
export type RoomEvent = v.InferOutput<typeof RoomEventSchema>;

/** Answer of `POST /api/rooms/join`: who was there before. */
export const RoomJoinedSchema = v.object({ joined: v.string(), snapshot: RoomSnapshotSchema });
/** Answer of `GET /api/rooms/:room`. */
export const RoomMembersSchema = v.object({
  room: v.string(),
  members: v.array(RoomPeerSchema),
  count: v.number(),
});
