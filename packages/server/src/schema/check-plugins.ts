import { nearest } from "@pylonsync/query";
import type { ManifestPlugin } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "./diagnostic.ts";

/** The server's own plugins, and what the config of each may name. */
const KNOWN_PLUGINS = {
  file_storage: ["backend", "bucket", "region", "endpoint", "dir", "maxBytes", "read", "direct"],
  cache_client: ["url"],
} as const;
/** A plugin that the server has. */
export type PluginName = keyof typeof KNOWN_PLUGINS;

/** Whether the server has a plugin of this name. */
export function isKnownPlugin(name: string): name is PluginName {
  return Object.hasOwn(KNOWN_PLUGINS, name);
}

/** Plugins and settings that the server does not know. The app's own plugins are its own matter. */
export function* checkPlugins(plugins: readonly ManifestPlugin[]): Generator<Diagnostic> {
  const seen = new Set<string>();
  for (const [index, { name, custom, config }] of plugins.entries()) {
    if (custom === true) continue;
    const at = `plugins[${index}]`;
    if (!isKnownPlugin(name)) {
      yield errorAt(
        "PLUGIN_UNKNOWN",
        `There is no plugin "${name}", and it brings no entities or hooks.`,
        `${at}.name`,
        hintFor(name, Object.keys(KNOWN_PLUGINS)),
      );
      continue;
    }
    if (seen.has(name))
      yield errorAt("PLUGIN_DUPLICATE", `The plugin "${name}" is there twice.`, `${at}.name`);
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

function hintFor(name: string, known: readonly string[]): string {
  const meant = nearest(name, known);
  return `${meant === undefined ? "" : `Did you mean "${meant}"? `}Known: ${known.join(", ")}.`;
}
