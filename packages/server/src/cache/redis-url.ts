import { VARIABLES } from "../config/variables.ts";
import type { PluginConfig } from "../plugins/plugin-config.ts";
import { PylonStartError } from "../start-error.ts";

/**
 * The Redis that the app's plugin `cache_client` names.
 *
 * @param plugin its config with its variables resolved; undefined when the app does not name it
 * @returns null when the plugin names none: then REDIS_URL does
 * @throws PylonStartError for what is not a URL of a Redis; it does not show it, because of the
 *   password
 */
export function redisUrlOf(plugin: PluginConfig | undefined): string | null {
  const url = plugin?.["url"];
  if (url === undefined) return null;
  try {
    return VARIABLES.REDIS_URL.parse(String(url)) ?? null;
  } catch {
    throw new PylonStartError(
      'The setting "url" of the plugin cache_client is invalid: ' +
        `expected ${VARIABLES.REDIS_URL.wants}.`,
    );
  }
}
