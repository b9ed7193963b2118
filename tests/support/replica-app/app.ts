import { buildManifest, entity, field, policy } from "@pylonsync/sdk";

const own = "auth.userId == data.ownerId && data.title != ''";

export default buildManifest({
  name: "replica",
  version: "1.0.0",
  entities: [
    entity("Todo", {
      title: field.string(),
      done: field.bool().default(false),
      ownerId: field.string().owner(),
    }),
  ],
  policies: [policy({ name: "own", entity: "Todo", allow: own })],
});
