import type { Manifest } from "@pylonsync/sdk";
import { aiSettingsIn, type AiSettings } from "@pylonsync/sdk/plugins";

/**
 * What the app says of its model; without the plugin every user may ask that of the server.
 *
 * @throws Error that names what is wrong
 */
export function aiSettingsOf({ plugins = [] }: Pick<Manifest, "plugins">): AiSettings {
  const plugin = plugins.find(({ name, custom }) => name === "ai_proxy" && custom !== true);
  return aiSettingsIn(plugin?.config ?? {});
}
