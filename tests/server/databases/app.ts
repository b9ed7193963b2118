import { buildManifest, entity, field, policy, type Manifest } from "@pylonsync/sdk";

/** The app of the stored databases. Its declarations never change, so all of them match it. */
export const notes: Manifest = buildManifest({
  name: "notes",
  version: "1.0.0",
  entities: [
    entity("Team", { name: field.string().unique() }),
    entity(
      "Note",
      {
        title: field.string(),
        done: field.bool().default(false),
        rank: field.int().default(0),
        size: field.float().optional(),
        due: field.datetime().optional(),
        tags: field.array(field.string()).optional(),
        extra: field.json().optional(),
        ownerId: field.string().owner(),
        teamId: field.id("Team", { onDelete: "cascade" }),
        picture: field.file().optional(),
      },
      {
        timestamps: true,
        indexes: [{ name: "by_rank", fields: ["teamId", "rank"], unique: false }],
        search: { fields: ["title"] },
      },
    ),
  ],
  policies: [
    policy({ name: "teams", entity: "Team", allow: "auth.userId != null" }),
    policy({ name: "notes", entity: "Note", allow: "data.ownerId == auth.userId" }),
  ],
});
