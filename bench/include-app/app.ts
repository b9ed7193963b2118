import { buildManifest, entity, field, relation } from "@pylonsync/sdk";

export default buildManifest({
  name: "includes",
  version: "1.0.0",
  access: "public",
  entities: [
    entity(
      "Post",
      { title: field.string() },
      {
        relations: [relation({ name: "comments", target: "Comment", field: "postId", many: true })],
      },
    ),
    entity(
      "Comment",
      { postId: field.id("Post"), text: field.string() },
      { indexes: [{ name: "by_post", fields: ["postId"], unique: false }] },
    ),
  ],
});
