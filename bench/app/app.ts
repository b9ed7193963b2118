import { buildManifest, entity, field, policy } from "@pylonsync/sdk";

const Note = entity("Note", {
  text: field.string(),
  count: field.int(),
  ownerId: field.string().owner(),
});

export default buildManifest({
  name: "bench",
  version: "1.0.0",
  entities: [Note],
  policies: [
    policy({
      name: "own",
      entity: "Note",
      allowRead: "true",
      allowWrite: "auth.userId == data.ownerId",
    }),
  ],
});
