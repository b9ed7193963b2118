import type { Manifest } from "@pylonsync/sdk";
import { aiSettingsIn, type AiSettings } from "@pylonsync/sdk/plugins";

/**
 * Returns the app's settings of the model; without the plugin all users may use the server's.
 *
 * @throws Error that says what is invalid
 */
export function aiSettingsOf({ plugins = [] }: Pick<Manifest, "plugins">): AiSettings {
  const plugin = plugins.find(({ name, custom }) => name === "ai_proxy" && custom !== true);
  return aiSettingsIn(plugin?.config ?? {});
}
