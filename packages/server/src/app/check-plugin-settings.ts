import type { Manifest } from "@pylonsync/sdk";
import { aiSettingsIn, endpointsOf } from "@pylonsync/sdk/plugins";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";

/** Functions that read the settings of a plugin, and throw for invalid ones. */
const READERS: Readonly<Record<string, (config: unknown) => unknown>> = {
  ai_proxy: aiSettingsIn,
  webhooks: endpointsOf,
};

/** Checks the settings of plugins, because the functions that create a manifest may not have. */
export function* checkPluginSettings({
  plugins = [],
}: Pick<Manifest, "plugins">): Generator<Diagnostic> {
  for (const [index, { name, config }] of plugins.entries()) {
    const read = Object.hasOwn(READERS, name) ? READERS[name] : undefined;
    try {
      read?.(config ?? {});
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      yield errorAt("PLUGIN_CONFIG_INVALID", message, `plugins[${index}].config`);
    }
  }
}
