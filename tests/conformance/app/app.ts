import { auth, buildManifest, entity, field, policy } from "@pylonsync/sdk";

// The app that the conformance kit checks: deploy it, then name its URL to the kit.

const User = entity("User", {
  email: field.string().unique(),
  displayName: field.string().optional(),
  emailVerified: field.bool().default(false),
});

const List = entity("List", { name: field.string(), ownerId: field.string().owner() });

const Task = entity(
  "Task",
  {
    title: field.string(),
    done: field.bool().default(false),
    rank: field.int().default(0),
    price: field.float().optional(),
    due: field.datetime().optional(),
    code: field.string().optional().unique(),
    group: field.string().optional(),
    photo: field.file({ maxBytes: 1_000_000 }).optional(),
    listId: field.id("List").optional(),
    shared: field.bool().default(false),
    ownerId: field.string().owner(),
  },
  {
    indexes: [{ name: "by_group", fields: ["group"], unique: false }],
    relations: [{ name: "list", target: "List", field: "listId" }],
  },
);

const Note = entity("Note", {
  title: field.string().crdt("text"),
  body: field.richtext().default(""),
  shared: field.bool().default(false),
  ownerId: field.string().owner(),
});

const own = "auth.userId == data.ownerId";

export default buildManifest({
  name: "conformance",
  version: "1.0.0",
  entities: [User, List, Task, Note],
  policies: [
    policy({ name: "users", entity: "User", allowRead: "auth.userId == data.id" }),
    policy({ name: "lists", entity: "List", allow: own }),
    policy({
      name: "notes",
      entity: "Note",
      allowRead: `data.shared == true || ${own}`,
      allowWrite: own,
    }),
    policy({
      name: "tasks",
      entity: "Task",
      allowRead: `data.shared == true || ${own}`,
      allowWrite: `${own} && data.title != 'refused'`,
    }),
  ],
  auth: auth({}),
});
