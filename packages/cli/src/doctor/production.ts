import { compileApp, ConfigError, loadApp, loadConfig, type Config } from "@pylonsync/server";
import { productionPaths } from "../data-place.ts";
import type { Environment } from "../env-files.ts";
import { checkApp, checkPolicies } from "./app.ts";
import { error, pass, warning, type Check } from "./check.ts";
import { checkData } from "./data.ts";
import { checkRuntime } from "./machine.ts";
import { checkNames } from "./names.ts";
import {
  productionSettings,
  withPlaceholders,
  type ProductionSettings,
  type SettingsOptions,
} from "./production-settings.ts";
import { checkRepository } from "./repository.ts";
import { checkFunctionSecrets, checkPlainSecrets, checkSecrets } from "./secrets.ts";
import { checkWeb } from "./web.ts";

interface Production extends SettingsOptions {
  readonly dir: string;
  readonly entry: string;
  readonly env: Environment;
}

/** All checks of `pylon doctor --production`. It only reads. */
export async function checkProduction({
  dir,
  entry,
  env,
  ...options
}: Production): Promise<Check[]> {
  const loaded = await loadApp(dir, { entry, dev: true });
  const always = [checkRuntime(), checkApp(loaded), checkPolicies(loaded), ...checkRepository(dir)];
  let settings: ProductionSettings;
  try {
    settings = await productionSettings(dir, options, env);
  } catch (cause) {
    return [...always, error("settings", cause instanceof Error ? cause.message : String(cause))];
  }
  const { app } = compileApp(loaded, { dev: false });
  const manifest = app?.manifest ?? null;
  const hasUsers =
    manifest === null
      ? null
      : manifest.entities.some(({ name }) => name === (manifest.auth?.user?.entity ?? "User"));
  const { check, config } = checkConfig(dir, settings);
  return [
    ...always,
    check,
    ...checkUnread(settings),
    ...settings.notices.map((notice) => warning("stage", notice)),
    checkNames(settings),
    checkPlainSecrets(settings),
    ...checkWeb(settings, hasUsers),
    ...checkSecrets(settings, hasUsers),
    checkFunctionSecrets(settings, app?.secretNames ?? null),
    ...(await checkData(settings, manifest, config)),
  ];
}

function checkUnread({ source, unread }: ProductionSettings): Check[] {
  return unread === null
    ? []
    : [
        warning(
          "settings",
          `These checks are for ${source}. There is also ${unread}: to check that server, ` +
            `run \`pylon doctor --production --env-file ${unread}\`.`,
        ),
      ];
}

function checkConfig(
  dir: string,
  settings: ProductionSettings,
): { readonly check: Check; readonly config: Config | null } {
  try {
    return {
      config: loadConfig(withPlaceholders(settings), productionPaths(dir, settings.env)),
      check: pass("configuration", `every variable of ${settings.source} is valid`),
    };
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    return { config: null, check: error("configuration", cause.message) };
  }
}
