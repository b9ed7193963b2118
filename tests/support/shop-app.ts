import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { appOf } from "./server.ts";

/** An app of users and of rows that they own. */
export const shopApp = appOf(
  buildManifest({
    name: "shop",
    version: "1.0.0",
    entities: [
      entity("User", {
        email: field.string().unique(),
        emailVerified: field.bool().default(false),
      }),
      entity("Note", { text: field.string(), ownerId: field.string().owner() }),
    ],
    policies: [
      policy({ name: "users", entity: "User", allow: "auth.userId == data.id" }),
      policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" }),
    ],
  }),
);
