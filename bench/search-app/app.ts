import { buildManifest, entity, field, policy } from "@pylonsync/sdk";

export default buildManifest({
  name: "search",
  version: "1.0.0",
  entities: [
    entity(
      "Document",
      { text: field.string(), isPublic: field.bool() },
      { search: { fields: ["text"] } },
    ),
  ],
  policies: [policy({ name: "documents", entity: "Document", allowRead: "data.isPublic" })],
});
