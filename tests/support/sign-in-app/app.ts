import { buildManifest, entity, field, policy } from "@pylonsync/sdk";

export default buildManifest({
  name: "forms",
  version: "1.0.0",
  entities: [
    entity("User", {
      email: field.string().unique(),
      displayName: field.string().optional(),
      emailVerified: field.bool().default(false),
      photo: field.file({ accept: ["image/*"], maxBytes: 20_000_000 }).optional(),
    }),
  ],
  policies: [policy({ name: "users", entity: "User", allow: "auth.userId == data.id" })],
});
