import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { EMOJI } from "./emoji.ts";

/** A user who has chosen a name. */
const Person = entity("Person", {
  userId: field.string().owner().unique(),
  name: field.string(),
});

/** All users see all channels. */
const Channel = entity("Channel", { name: field.string().unique() });

/** The members of a channel: all other policies check for such a row. */
const Member = entity(
  "Member",
  {
    channelId: field.id("Channel"),
    userId: field.string().owner(),
    name: field.string(),
  },
  {
    indexes: [
      { name: "once", fields: ["channelId", "userId"], unique: true },
      { name: "by_user", fields: ["userId"], unique: false },
    ],
  },
);

/** A message of a channel, or a reply to one. */
const Message = entity(
  "Message",
  {
    channelId: field.id("Channel"),
    authorId: field.string().owner(),
    authorName: field.string(),
    text: field.string(),
    /** Users who may read the message may read its file. */
    file: field.file({ maxBytes: 25_000_000 }).optional(),
    fileName: field.string().optional(),
    /** The server's time: a message that is not sent yet has no time. */
    createdAt: field.datetime().optional().default("now").readonly(),
    parentId: field.id("Message").optional(),
    replyCount: field.int().default(0),
  },
  {
    indexes: [
      { name: "newest", fields: ["channelId", "parentId", "createdAt"], unique: false },
      { name: "replies", fields: ["parentId", "createdAt"], unique: false },
    ],
  },
);

/**
 * An emoji on a message. `messageAt` repeats the message's time, so that one query finds the
 * reactions to all messages that a page shows.
 */
const Reaction = entity(
  "Reaction",
  {
    channelId: field.id("Channel"),
    messageId: field.id("Message"),
    messageAt: field.datetime(),
    emoji: field.string(),
    userId: field.string().owner(),
  },
  {
    indexes: [
      { name: "once", fields: ["messageId", "userId", "emoji"], unique: true },
      { name: "by_time", fields: ["channelId", "messageAt"], unique: false },
    ],
  },
);

/** The time of the newest message that a member has read in a channel. */
const ReadMark = entity(
  "ReadMark",
  {
    channelId: field.id("Channel"),
    userId: field.string().owner(),
    readAt: field.datetime().default("now"),
  },
  { indexes: [{ name: "once", fields: ["userId", "channelId"], unique: true }] },
);

const isMember = "exists(Member, channelId == data.channelId && userId == auth.userId)";
const isOwnName = "exists(Person, userId == auth.userId && name == data.authorName)";
const isItsMessage =
  "exists(Message, id == data.messageId && channelId == data.channelId" +
  " && createdAt == data.messageAt)";

export default buildManifest({
  name: "chat",
  version: "0.1.0",
  entities: [Person, Channel, Member, Message, Reaction, ReadMark],
  policies: [
    // "false" denies clients what only functions may do.
    policy({
      name: "people",
      entity: "Person",
      allowRead: "auth.userId == data.userId",
      allowWrite: "false",
    }),
    policy({
      name: "channels",
      entity: "Channel",
      allowRead: "auth.userId != null",
      allowWrite: "false",
    }),
    policy({
      name: "members",
      entity: "Member",
      allowRead: "auth.userId != null",
      allowWrite: "false",
    }),
    policy({
      name: "messages",
      entity: "Message",
      allowRead: isMember,
      allowInsert:
        `${isMember} && ${isOwnName} && data.createdAt <= now()` +
        " && (data.text != '' || data.file != null)" +
        " && data.parentId == null && data.replyCount == 0",
      allowUpdate: "false",
      allowDelete: "false",
    }),
    policy({
      name: "reactions",
      entity: "Reaction",
      allowRead: isMember,
      allowInsert: `${isMember} && ${isItsMessage} && data.emoji in ${JSON.stringify(EMOJI)}`,
      allowUpdate: "false",
      allowDelete: "auth.userId == data.userId",
    }),
    policy({
      name: "read_marks",
      entity: "ReadMark",
      allowRead: "auth.userId == data.userId",
      allowInsert: "false",
      allowUpdate: "auth.userId == data.userId && data.channelId == old.channelId",
      allowDelete: "false",
    }),
  ],
  rooms: [
    {
      name: "channel/:channelId",
      allow: "exists(Member, channelId == room.channelId && userId == auth.userId)",
    },
  ],
});
