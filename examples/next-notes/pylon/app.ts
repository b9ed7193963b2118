import { buildManifest, entity, field, policy } from "@pylonsync/sdk";

const User = entity("User", {
  email: field.string().unique(),
  displayName: field.string().optional(),
  emailVerified: field.bool().default(false),
});

/** A note of one user. `ownerId` is stamped by the server. */
const Note = entity("Note", {
  text: field.string(),
  ownerId: field.id("User").owner(),
});

export default buildManifest({
  name: "notes",
  version: "0.1.0",
  entities: [User, Note],
  policies: [
    policy({ name: "self", entity: "User", allow: "auth.userId == data.id" }),
    policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" }),
  ],
});
