import { buildManifest, definePlugin, entity, field, policy } from "@pylonsync/sdk";

/** Its hooks run in the server, wherever the writing handler runs. */
const shouts = definePlugin({
  name: "shouts",
  hooks: {
    beforeInsert: (data, { entity: name, error }) => {
      if (name !== "Note") return undefined;
      if (data["text"] === "secret") throw error("NOT_A_NOTE", "Keep it to yourself.");
      return { ...data, text: String(data["text"]).toUpperCase() };
    },
  },
});

export default buildManifest({
  name: "isolated-context",
  version: "1.0.0",
  access: "public",
  entities: [
    entity("Item", { n: field.int() }),
    entity("Note", { ownerId: field.string(), text: field.string(), pin: field.int().hidden() }),
  ],
  policies: [policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" })],
  plugins: [shouts],
});
