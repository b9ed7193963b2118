import { VARIABLES } from "../config/variables.ts";
import type { PluginConfig } from "../plugins/plugin-config.ts";
import { PylonStartError } from "../start-error.ts";

/**
 * Returns the URL of the Redis in the app's plugin `cache_client`.
 *
 * @param plugin its config with its variables resolved; undefined if the app does not have it
 * @returns null if the plugin has none: then REDIS_URL is used
 * @throws PylonStartError for an invalid URL, which is not shown because of the password
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
