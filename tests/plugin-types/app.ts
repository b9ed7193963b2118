import { stripe } from "@pylonsync/functions/plugins";
import { buildManifest, definePlugin, entity, field, type Plugin } from "@pylonsync/sdk";
import { auditLog, featureFlags, slugify, versioning } from "@pylonsync/sdk/plugins";
import { countNoise } from "./count-noise.ts";

const Post = entity("Post", { title: field.string() });
const Noise = entity("Noise", { text: field.string(), level: field.int().default(1) });
const noisy = definePlugin({
  name: "noisy",
  entities: [Noise],
  functions: { "noisy.count": countNoise },
});
/** Its type does not name its entities. */
const opaque: Plugin = definePlugin({ name: "opaque", entities: [entity("Hidden", {})] });

export default buildManifest({
  name: "plugin-types",
  version: "1.0.0",
  access: "public",
  timestamps: true,
  entities: [Post],
  plugins: [
    auditLog(),
    featureFlags(),
    slugify({ entities: { Post: { from: "title" } } }),
    stripe(),
    versioning({ entities: ["Post"] }),
    noisy,
    opaque,
  ],
});
