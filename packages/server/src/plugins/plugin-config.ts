import { nearest } from "@pylonsync/query";
import type { ManifestPlugin } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";
import { PylonStartError } from "../start-error.ts";

/** The server's own plugins, and what the config of each may name. */
const KNOWN_PLUGINS = {
  file_storage: ["backend", "bucket", "region", "endpoint", "dir", "maxBytes", "read", "direct"],
  cache_client: ["url"],
} as const;
/** The name of a plugin of the server's own. */
export type PluginName = keyof typeof KNOWN_PLUGINS;

/** The settings of a plugin, by name, as the manifest has them. */
export type PluginConfig = Readonly<Record<string, unknown>>;
type Environment = Readonly<Record<string, string | undefined>>;

const REFERENCE = /\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}/g;

/** Plugins and settings that the server does not know. The app's own plugins are its own matter. */
export function* checkPlugins(plugins: readonly ManifestPlugin[]): Generator<Diagnostic> {
  const seen = new Set<string>();
  for (const [index, { name, custom, config }] of plugins.entries()) {
    if (custom === true) continue;
    const at = `plugins[${index}]`;
    if (!isKnown(name)) {
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

/**
 * The settings of the server's plugins, with each `${env.NAME}` in a string replaced by the
 * variable's value. The value is taken as it is: what looks like a reference in it stays text. The
 * manifest is not changed.
 *
 * @returns by the plugin's name; a plugin that the manifest does not name is not in it
 * @throws PylonStartError for a variable that is not set or is empty, naming plugin, setting and
 *   variable
 */
export function resolvePlugins(
  plugins: readonly ManifestPlugin[],
  env: Environment,
): ReadonlyMap<PluginName, PluginConfig> {
  const resolved = new Map<PluginName, PluginConfig>();
  for (const { name, custom, config = {} } of plugins) {
    if (custom === true || !isKnown(name)) continue;
    resolved.set(
      name,
      Object.fromEntries(
        Object.entries(config).map(([key, value]) => [
          key,
          resolveValue(value, env, `${name}.${key}`),
        ]),
      ),
    );
  }
  return resolved;
}

function resolveValue(value: unknown, env: Environment, at: string): unknown {
  if (typeof value === "string") return interpolate(value, env, at);
  if (Array.isArray(value))
    return value.map((item: unknown, index) => resolveValue(item, env, `${at}[${index}]`));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, resolveValue(item, env, `${at}.${key}`)]),
  );
}

function interpolate(text: string, env: Environment, at: string): string {
  return text.replaceAll(REFERENCE, (_reference, name: string) => {
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (value !== undefined && value !== "") return value;
    const [plugin = "", ...setting] = at.split(".");
    throw new PylonStartError(
      `The setting "${setting.join(".")}" of the plugin ${plugin} needs ` +
        `the environment variable ${name}, which is not set.`,
    );
  });
}

function isKnown(name: string): name is PluginName {
  return Object.hasOwn(KNOWN_PLUGINS, name);
}

function hintFor(name: string, known: readonly string[]): string {
  const meant = nearest(name, known);
  return `${meant === undefined ? "" : `Did you mean "${meant}"? `}Known: ${known.join(", ")}.`;
}
