import {
  buildManifest,
  entity,
  field,
  type AppManifest,
  type EntityDefinition,
} from "@pylonsync/sdk";

// An app whose annotations hide the types of its entities, as apps of the public system have them.

const entities: EntityDefinition[] = [
  entity("Channel", { name: field.string().unique(), topic: field.string().optional() }),
  entity("Message", { channelId: field.id("Channel"), body: field.string() }),
];
const manifest: AppManifest = buildManifest({
  name: "erased",
  version: "1.0.0",
  access: "public",
  entities,
});
export default manifest;
