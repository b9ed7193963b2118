import { buildManifest, entity, field, policy } from "@pylonsync/sdk";

const inGroup = "exists(Member, groupId == data.groupId && userId == auth.userId)";

export default buildManifest({
  name: "groups",
  version: "1.0.0",
  entities: [
    entity(
      "Member",
      { groupId: field.string(), userId: field.string() },
      { indexes: [{ name: "by_group", fields: ["groupId"], unique: false }] },
    ),
    entity("Message", { groupId: field.string(), text: field.string() }),
  ],
  policies: [
    policy({
      name: "members",
      entity: "Member",
      allowRead: "auth.userId == data.userId",
      allowWrite: "auth.isAdmin",
    }),
    policy({
      name: "messages",
      entity: "Message",
      allowRead: inGroup,
      allowWrite: `auth.isAdmin || ${inGroup}`,
    }),
  ],
});
