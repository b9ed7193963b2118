import { buildManifest, entity, field, policy } from "@pylonsync/sdk";

/** A todo. The server stamps `ownerId`: a user cannot write in another user's name. */
const Todo = entity(
  "Todo",
  {
    title: field.string(),
    done: field.bool().default(false),
    createdAt: field.datetime(),
    ownerId: field.string().owner(),
    shared: field.bool().default(false),
  },
  { indexes: [{ name: "by_owner", fields: ["ownerId"], unique: false }] },
);

export default buildManifest({
  name: "todo",
  version: "0.1.0",
  entities: [Todo],
  policies: [
    policy({
      name: "own_or_shared",
      entity: "Todo",
      allowRead: "auth.userId == data.ownerId || data.shared == true",
      allowInsert: "auth.userId == data.ownerId && data.title != ''",
      allowWrite: "auth.userId == data.ownerId && data.title != ''",
    }),
  ],
});
