import { buildManifest, entity, field } from "@pylonsync/sdk";

export default buildManifest({
  name: "pages",
  version: "1.0.0",
  access: "public",
  entities: [
    entity(
      "Message",
      { channelId: field.string(), text: field.string(), at: field.datetime().optional() },
      { indexes: [{ name: "by_channel", fields: ["channelId", "at"], unique: false }] },
    ),
  ],
});
