import { join } from "node:path";
import { createServer, loadApp, loadConfig, validateManifest, watchApp, type AppPart, type Config, type Diagnostic, type LoadedApp, type PylonServer } from "@pylonsync/server";
import { locateApp, type AppLocation } from "../app-dir.ts";
import type { Command, CommandContext } from "../command.ts";
import { hasErrors, sayDiagnostics } from "../diagnostics.ts";
import { withEnvFiles, type Environment } from "../env-files.ts";
import { writeGenerated } from "../generated.ts";
import { EXIT, type Output } from "../output.ts";
import { untilStopped } from "../until-stopped.ts";

export const dev: Command = {
  name: "dev",
  usage: "dev [DIR] [--port N] [--once]",
  summary: "Serve the app, and again whenever a file is saved. --once only checks it.",
  async run(context) {
    const location = locateApp(context, "DEV");
    const { env, files } = withEnvFiles(location.dir, context.env);
    for (const file of files) context.output.say(`Read ${file}`);
    const config = devConfig(context, location, env);
    const loaded = await loadApp(location.dir, { entry: location.entry, functionsDir: config.functionsDir, dev: true });
    if (context.options.once) return checkOnce(loaded, location, context.output);
    return new DevSession(location, config, env, context.output).run(loaded);
  },
};

function devConfig({ options, env: own }: CommandContext, { dir }: AppLocation, env: Environment): Config {
  const overrides = { PYLON_DEV_MODE: "1", PYLON_DB_PATH: join(dir, ".pylon", "dev.db"), PYLON_LOG_LEVEL: "warn" };
  return loadConfig(options.port === undefined ? env : { ...env, PYLON_PORT: options.port }, own["PYLON_DEV_MODE"] === undefined ? overrides : { ...overrides, PYLON_DEV_MODE: own["PYLON_DEV_MODE"] });
}

function checkOnce(loaded: LoadedApp, { entry }: AppLocation, output: Output): number {
  const { manifest, diagnostics: found } = validateManifest(loaded.manifest);
  const diagnostics = [...loaded.diagnostics, ...found];
  sayDiagnostics(diagnostics, output);
  const isGood = manifest !== null && !hasErrors(diagnostics);
  if (isGood) writeGenerated(loaded, manifest, entry);
  output.json(isGood ? { code: "DEV_OK", ...countsOf(loaded), name: manifest.name, version: manifest.version, entry, diagnostics } : { code: "DEV_ERROR", diagnostics });
  return isGood ? EXIT.OK : EXIT.FAILED;
}

/** One `pylon dev`: serves, watches, reloads. */
class DevSession {
  readonly #location: AppLocation;
  readonly #config: Config;
  readonly #env: Environment;
  readonly #output: Output;
  #rebuilds = 0;
  #reloading: Promise<void> = Promise.resolve();

  constructor(location: AppLocation, config: Config, env: Environment, output: Output) {
    this.#location = location;
    this.#config = config;
    this.#env = env;
    this.#output = output;
  }

  async run(loaded: LoadedApp): Promise<number> {
    const server = createServer({ app: loaded, config: this.#config, env: this.#env });
    await server.start();
    this.#report(loaded, server, server.diagnostics);
    this.#output.say(`\n  ${server.app.name} is live at ${server.url}\n`);
    const stopWatching = watchApp(this.#location.dir, this.#config.functionsDir, (parts) => {
      this.#reloading = this.#reloading.then(() => this.#reload(server, parts)).catch((error: unknown) => this.#output.warn(String(error)));
    });
    await untilStopped(server);
    stopWatching();
    return EXIT.OK;
  }

  async #reload(server: PylonServer, parts: ReadonlySet<AppPart>): Promise<void> {
    if (parts.has("env")) this.#output.warn("warning ENV_CHANGED: .env was saved; it is read at start, so start `pylon dev` again.");
    const { dir, entry } = this.#location;
    const loaded = await loadApp(dir, { entry, functionsDir: this.#config.functionsDir, dev: true });
    const diagnostics = await server.reload(loaded);
    this.#rebuilds += 1;
    this.#report(loaded, server, diagnostics);
    if (!hasErrors(diagnostics)) this.#output.say(`Reloaded (${[...parts].join(", ")}).`);
  }

  #report(loaded: LoadedApp, server: PylonServer, diagnostics: readonly Diagnostic[]): void {
    sayDiagnostics(diagnostics, this.#output);
    const isGood = !hasErrors(diagnostics);
    if (isGood) writeGenerated(loaded, server.app, this.#location.entry);
    const { name, version } = server.app;
    this.#output.json({ code: isGood ? "DEV_OK" : "DEV_ERROR", rebuild: this.#rebuilds, name, version, port: server.port, ...countsOf(loaded), diagnostics });
  }
}

function countsOf(loaded: LoadedApp): { functions: number } {
  return { functions: loaded.functions.size };
}
