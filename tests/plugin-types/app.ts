import { stripe } from "@pylonsync/functions/plugins";
import { buildManifest, definePlugin, entity, field, type Plugin } from "@pylonsync/sdk";
import {
  auditLog,
  featureFlags,
  slugify,
  softDelete,
  tenantScope,
  timestamps,
  versioning,
} from "@pylonsync/sdk/plugins";
import { countNoise } from "./count-noise.ts";

const Post = entity("Post", { title: field.string() });
const Page = entity(
  "Page",
  { title: field.string(), archivedAt: field.string() },
  { timestamps: false },
);
const Noise = entity("Noise", { text: field.string(), level: field.int().default(1) });
const noisy = definePlugin({
  name: "noisy",
  entities: [Noise],
  functions: { "noisy.count": countNoise },
});
const ranked = definePlugin({
  name: "ranked",
  fields: { Post: { rank: field.int().default(0).index(), secret: field.string().hidden() } },
});
const names: readonly string[] = ["Post"];
/** Its type does not name its entities. */
const opaque: Plugin = definePlugin({ name: "opaque", entities: [entity("Hidden", {})] });

export default buildManifest({
  name: "plugin-types",
  version: "1.0.0",
  access: "public",
  timestamps: true,
  entities: [Post, Page],
  plugins: [
    auditLog(),
    featureFlags(),
    slugify({ entities: { Post: { from: "title" }, Page: { from: "title", to: "path" } } }),
    softDelete({ entities: ["Post"] }),
    softDelete({ entities: ["Page"], field: "archivedAt" }),
    softDelete({ entities: names, field: "hiddenAt" }),
    tenantScope({ entities: ["Page"] }),
    timestamps({ entities: ["Page"] }),
    ranked,
    stripe(),
    versioning({ entities: ["Post"] }),
    noisy,
    opaque,
  ],
});
