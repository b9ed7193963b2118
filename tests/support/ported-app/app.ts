// An app in the style of the public system: it prints its manifest, and a policy is a string.
import { auth, buildManifest, entity, field, policy, type AppManifest } from "@pylonsync/sdk";

const User = entity("User", {
  email: field.string().unique(),
  displayName: field.string(),
  avatarColor: field.string(),
  passwordHash: field.string(),
  createdAt: field.datetime(),
});

const Channel = entity("Channel", {
  name: field.string().unique(),
  createdBy: field.id("User"),
  createdAt: field.datetime(),
});

const Message = entity(
  "Message",
  {
    channelId: field.id("Channel"),
    authorId: field.id("User"),
    body: field.string(),
    createdAt: field.datetime(),
  },
  { indexes: [{ name: "by_channel", fields: ["channelId", "createdAt"], unique: false }] },
);

const manifest: AppManifest = buildManifest({
  name: "board",
  version: "0.1.0",
  entities: [User, Channel, Message],
  policies: [
    policy({ name: "users", entity: "User", allowRead: "auth.userId != null" }),
    policy({ name: "channels", entity: "Channel", allowRead: "auth.userId != null" }),
    policy({ name: "messages", entity: "Message", allowRead: "auth.userId != null" }),
  ],
  auth: auth({ session: { expiresIn: 30 * 24 * 60 * 60 } }),
});

console.log(JSON.stringify(manifest, null, 2));
