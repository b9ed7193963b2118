import { buildManifest, entity, field } from "@pylonsync/sdk";

export default buildManifest({
  name: "isolated",
  version: "1.0.0",
  access: "public",
  entities: [entity("Item", { n: field.int().unique() })],
});
