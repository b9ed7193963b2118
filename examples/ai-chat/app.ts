import { buildManifest, entity, field, policy } from "@pylonsync/sdk";

/** A message of the conversation. A model's answer grows while its state is `writing`. */
const Message = entity(
  "Message",
  {
    role: field.enum(["user", "assistant"]),
    text: field.string(),
    state: field.enum(["writing", "done", "failed", "stopped"]),
    at: field.datetime(),
  },
  { indexes: [{ name: "by_time", fields: ["at"], unique: false }] },
);

export default buildManifest({
  name: "ai-chat",
  version: "0.1.0",
  entities: [Message],
  policies: [
    policy({
      name: "read_all",
      entity: "Message",
      // Only functions write, so a client cannot forge an answer of the model.
      allowRead: "auth.userId != null",
      allowWrite: "false",
    }),
  ],
});
