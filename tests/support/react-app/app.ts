import { buildManifest, entity, field } from "@pylonsync/sdk";

export default buildManifest({
  name: "react-app",
  version: "1.0.0",
  access: "public",
  entities: [entity("Item", { shelf: field.int(), rank: field.int() })],
});
