import { nearest } from "@pylonsync/query";
import type { ManifestPlugin } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "./diagnostic.ts";

/** The built-in plugins of the server, and the allowed config keys of each. */
const KNOWN_PLUGINS = {
  file_storage: ["backend", "bucket", "region", "endpoint", "dir", "maxBytes", "read", "direct"],
  cache_client: ["url"],
  webhooks: ["endpoints"],
  ai_proxy: ["models", "roles", "guests"],
  mcp: ["functions", "entities", "instructions"],
} as const;
/**
 * The plugins that an app declares by a function of `@pylonsync/sdk/plugins`, which contains their
 * code.
 */
const MADE_BY: Readonly<Record<string, string>> = {
  audit_log: "auditLog",
  cascade: "cascade",
  computed: "computed",
  email: "email",
  feature_flags: "featureFlags",
  rate_limit: "rateLimit",
  slugify: "slugify",
  soft_delete: "softDelete",
  tenant_scope: "tenantScope",
  timestamps: "timestamps",
  validation: "validation",
  versioning: "versioning",
  webhooks: "webhooks",
};
/** The name of a plugin of the server. */
export type PluginName = keyof typeof KNOWN_PLUGINS;

/** Whether the server has a plugin of this name. */
export function isKnownPlugin(name: string): name is PluginName {
  return Object.hasOwn(KNOWN_PLUGINS, name);
}

/**
 * Reports plugins and settings that the server does not know. The app's own plugins are not
 * checked.
 */
export function* checkPlugins(plugins: readonly ManifestPlugin[]): Generator<Diagnostic> {
  const seen = new Set<string>();
  for (const [index, { name, custom, config }] of plugins.entries()) {
    const at = `plugins[${index}]`;
    if (custom === true) {
      // An app may give its own plugins any name.
      if (Object.hasOwn(MADE_BY, name) && seen.has(name)) yield duplicate(name, at);
      seen.add(name);
      continue;
    }
    if (Object.hasOwn(MADE_BY, name)) {
      const maker = MADE_BY[name];
      yield errorAt(
        "PLUGIN_UNKNOWN",
        `The plugin "${name}" must be declared with its function.`,
        `${at}.name`,
        `Use plugins: [${maker}({ ... })], with ${maker} from @pylonsync/sdk/plugins.`,
      );
      continue;
    }
    if (!isKnownPlugin(name)) {
      yield errorAt(
        "PLUGIN_UNKNOWN",
        `The plugin "${name}" does not exist, and has no entities or hooks.`,
        `${at}.name`,
        hintFor(name, [
          ...Object.keys(KNOWN_PLUGINS).filter((known) => !Object.hasOwn(MADE_BY, known)),
          ...Object.keys(MADE_BY),
        ]),
      );
      continue;
    }
    if (seen.has(name)) yield duplicate(name, at);
    seen.add(name);
    const keys: readonly string[] = KNOWN_PLUGINS[name];
    for (const key of Object.keys(config ?? {})) {
      if (!keys.includes(key))
        yield errorAt(
          "PLUGIN_CONFIG_UNKNOWN",
          `The plugin "${name}" has no setting "${key}".`,
          `${at}.config.${key}`,
          hintFor(key, keys),
        );
    }
  }
}

function duplicate(name: string, at: string): Diagnostic {
  return errorAt("PLUGIN_DUPLICATE", `The plugin "${name}" is declared twice.`, `${at}.name`);
}

function hintFor(name: string, known: readonly string[]): string {
  const meant = nearest(name, known);
  return `${meant === undefined ? "" : `Did you mean "${meant}"? `}Known: ${known.join(", ")}.`;
}
