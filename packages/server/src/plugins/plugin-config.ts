import type { ManifestPlugin } from "@pylonsync/sdk";
import { isKnownPlugin, type PluginName } from "../schema/check-plugins.ts";
import { PylonStartError } from "../start-error.ts";

/** The settings of a plugin, by name, as in the manifest. */
export type PluginConfig = Readonly<Record<string, unknown>>;
type Environment = Readonly<Record<string, string | undefined>>;

const REFERENCE = /\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}/g;

/**
 * Returns the settings of the server's plugins, with each `${env.NAME}` in a string replaced by the
 * variable's value. The value is used unchanged: a reference in it remains text. The manifest is
 * not changed.
 *
 * @returns by the plugin's name; a plugin that the manifest does not contain is missing
 * @throws PylonStartError for an unset or empty variable, with the plugin, setting and variable
 */
export function resolvePlugins(
  plugins: readonly ManifestPlugin[],
  env: Environment,
): ReadonlyMap<PluginName, PluginConfig> {
  const resolved = new Map<PluginName, PluginConfig>();
  for (const { name, custom, config = {} } of plugins) {
    // An app's own plugin may have any name; `webhooks` has code of ours besides its settings.
    if (!isKnownPlugin(name) || (custom === true && name !== "webhooks")) continue;
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
      `The setting "${setting.join(".")}" of the plugin ${plugin} requires ` +
        `the environment variable ${name}, which is not set.`,
    );
  });
}
