import {
  AppNotFoundError,
  compileApp,
  ConfigError,
  createServer,
  loadApp,
  loadConfig,
  watchApp,
  type AppPart,
  type Config,
  type Diagnostic,
  type LoadedApp,
  type PylonServer,
} from "@pylonsync/server";
import { countFunctions } from "../count-functions.ts";
import type { Manifest } from "@pylonsync/sdk";
import { ENTRY, locateApp, type AppLocation } from "../app-dir.ts";
import { defineCommand, type CommandContext } from "../command.ts";
import { devPaths } from "../data-place.ts";
import { hasErrors, sayDiagnostics } from "../diagnostics.ts";
import { checkDatabase } from "../check-database.ts";
import { withEnvFiles, type Environment } from "../env-files.ts";
import { writeGenerated, writeReferences } from "../generated.ts";
import { isLoopback, LISTEN, networkUrls, withListenOptions } from "../listen-options.ts";
import { EXIT, type Output } from "../output.ts";
import { keepAliveOnUnhandledRejection } from "../process-net.ts";
import { isStarted, stopSignal } from "../stop-signal.ts";

const OPTIONS = {
  ...LISTEN,
  once: { type: "boolean", summary: "Check the app and write its generated files, then exit." },
  entry: ENTRY,
} as const;
type Context = CommandContext<typeof OPTIONS>;

/** `pylon dev`: serves the app and applies every saved change. */
export const dev = defineCommand({
  name: "dev",
  args: ["[DIR]"],
  summary: "Serve the app in dev mode, and reload it when a file is saved.",
  options: OPTIONS,
  async run(context) {
    const location = locateApp(context, "DEV");
    const settings = readSettings(context, location);
    if (context.options.once)
      return checkOnce(await load(location, settings), location, settings, context.output);
    return new DevSession(context, location, settings).run();
  },
});

const KEPT = "The previous version keeps running.";

/** The settings that a session reads from the environment, and reads again when `.env` is saved. */
interface Settings {
  readonly config: Config;
  readonly env: Environment;
  /** The files from which values of the environment were read. */
  readonly envFiles: readonly string[];
}

/** @throws ConfigError */
function readSettings({ options, output, env: own }: Context, { dir }: AppLocation): Settings {
  const { env, files, warnings } = withEnvFiles(dir, own);
  for (const file of files) output.say(`Read ${file}`);
  for (const warning of warnings) output.warn(`warning: ${warning}`);
  // A server that its developer stops need not wait for running requests.
  const overrides = {
    PYLON_DEV_MODE: "1",
    ...devPaths(dir, env),
    PYLON_LOG_LEVEL: "warn",
    PYLON_DRAIN_SECS: "0",
  };
  return {
    config: loadConfig(withListenOptions(options, env), overrides),
    env,
    envFiles: files,
  };
}

async function load({ dir, entry }: AppLocation, { config }: Settings): Promise<LoadedApp> {
  await writeReferences(dir, config.functionsDir);
  return loadApp(dir, { entry, functionsDir: config.functionsDir, dev: true });
}

async function checkOnce(
  loaded: LoadedApp,
  { entry }: AppLocation,
  { config }: Settings,
  output: Output,
): Promise<number> {
  const { app, diagnostics: found } = compileApp(loaded, { dev: true });
  const diagnostics =
    app === null ? found : [...found, ...(await checkDatabase(config.database, app.manifest))];
  sayDiagnostics(diagnostics, output);
  if (app === null || hasErrors(diagnostics)) {
    output.json({ code: "DEV_ERROR", diagnostics });
    return EXIT.FAILED;
  }
  writeGenerated(loaded, app.manifest, entry);
  const { name, version } = app.manifest;
  output.say(`${name} is valid: ${summaryOf(loaded, app.manifest)}.`);
  output.json({
    code: "DEV_OK",
    name,
    version,
    entry,
    ...countsOf(loaded, app.manifest),
    warnings: warningsIn(diagnostics),
    diagnostics,
  });
  return EXIT.OK;
}

/** One `pylon dev`: serves, watches, reloads. */
class DevSession {
  readonly #context: Context;
  readonly #location: AppLocation;
  readonly #output: Output;
  #settings: Settings;
  /** Null until the app is valid for the first time. */
  #server: PylonServer | null = null;
  #rebuilds = 0;
  /** Whether the environment was saved while the app had errors. */
  #isRestartDue = false;
  #stopWatching: () => void = () => undefined;
  #working: Promise<void> = Promise.resolve();

  constructor(context: Context, location: AppLocation, settings: Settings) {
    this.#context = context;
    this.#location = location;
    this.#output = context.output;
    this.#settings = settings;
  }

  async run(): Promise<number> {
    keepAliveOnUnhandledRejection();
    const stopped = stopSignal();
    // Before the start, so that files saved while it runs are not missed.
    this.#watch();
    const start = this.#enqueue(() => this.#start());
    if (!(await isStarted(start, stopped))) return EXIT.OK;
    await stopped;
    this.#stopWatching();
    await this.#enqueue(async () => this.#server?.stop());
    return EXIT.OK;
  }

  /** Watches what the current settings name, and no longer what earlier ones did. */
  #watch(): void {
    const stop = this.#stopWatching;
    const { config, envFiles } = this.#settings;
    this.#stopWatching = watchApp(
      { ...this.#location, functionsDir: config.functionsDir, envFiles },
      (parts) => {
        this.#enqueue(() => this.#saved(parts)).catch((error: unknown) => this.#failed(error));
      },
    );
    stop();
  }

  /** Runs one task at a time. */
  #enqueue(work: () => Promise<void>): Promise<void> {
    const done = this.#working.then(work);
    this.#working = done.catch(() => undefined);
    return done;
  }

  async #start(): Promise<void> {
    const loaded = await load(this.#location, this.#settings);
    const { app, diagnostics } = compileApp(loaded, { dev: this.#settings.config.dev });
    if (app === null) {
      this.#report(loaded, diagnostics, null);
      this.#output.say("Fix the errors above; the server starts when the app is valid.");
      return;
    }
    const server = createServer({ app: loaded, ...this.#settings });
    await server.start();
    this.#server = server;
    this.#report(loaded, server.diagnostics, server);
    this.#sayWhere(server);
    this.#output.say(`  ${summaryOf(loaded, server.app)}\n`);
  }

  #sayWhere({ app, url, port }: PylonServer): void {
    const { host, extraPorts } = this.#settings.config;
    const ports = extraPorts && port === this.#settings.config.port ? ` to ${port + 3}` : "";
    this.#output.say(`\n  ${app.name} is live at ${url}, and Studio at ${url}/studio`);
    if (isLoopback(host)) {
      this.#output.say(
        `  It listens on ${host}, port ${port}${ports}: this machine only; use ` +
          "--host to open it to others.",
      );
      return;
    }
    const others = networkUrls(host, port).join(", ") || "no network address of this machine";
    this.#output.say(
      `  It listens on ${host}, port ${port}${ports}, and is reachable at ` + `${others}`,
    );
    this.#output.warn(
      "warning: In dev mode everyone who can reach this server can act as any user and read the " +
        "mail that it sends.",
    );
  }

  async #saved(parts: ReadonlySet<AppPart>): Promise<void> {
    this.#rebuilds += 1;
    if (parts.has("env") || this.#isRestartDue) return this.#restart();
    if (this.#server === null) return this.#start();
    const loaded = await load(this.#location, this.#settings);
    const diagnostics = await this.#server.reload(loaded);
    this.#report(loaded, diagnostics, this.#server);
    this.#output.say(hasErrors(diagnostics) ? KEPT : `Reloaded (${[...parts].join(", ")}).`);
  }

  /** A new environment needs a new server; the old one stays until that and the app are valid. */
  async #restart(): Promise<void> {
    try {
      this.#settings = readSettings(this.#context, this.#location);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#output.warn(`${error.message} The server keeps running with the previous values.`);
      const code = "ENVIRONMENT_INVALID";
      this.#server?.showProblems([{ severity: "error", code, message: error.message }]);
      return;
    }
    this.#watch();
    if (this.#server !== null) {
      this.#isRestartDue = true;
      const loaded = await load(this.#location, this.#settings);
      const { app, diagnostics } = compileApp(loaded, { dev: this.#settings.config.dev });
      if (app === null) {
        this.#report(loaded, diagnostics, this.#server);
        this.#output.say(KEPT);
        return;
      }
    }
    this.#isRestartDue = false;
    await this.#server?.stop();
    this.#server = null;
    await this.#start();
  }

  /** Called after a save that could not be handled; the next one is handled again. */
  #failed(error: unknown): void {
    const isMissing = error instanceof AppNotFoundError;
    const diagnostic: Diagnostic = {
      severity: "error",
      code: isMissing ? "ENTRY_NOT_FOUND" : "RELOAD_FAILED",
      message: error instanceof Error ? error.message : String(error),
    };
    sayDiagnostics([diagnostic], this.#output);
    this.#server?.showProblems([diagnostic]);
    if (this.#server !== null) this.#output.say(KEPT);
    this.#output.json({ code: "DEV_ERROR", rebuild: this.#rebuilds, diagnostics: [diagnostic] });
  }

  #report(loaded: LoadedApp, diagnostics: readonly Diagnostic[], server: PylonServer | null): void {
    sayDiagnostics(diagnostics, this.#output);
    server?.showProblems(diagnostics);
    const head = { rebuild: this.#rebuilds };
    if (server === null || hasErrors(diagnostics)) {
      this.#output.json({ code: "DEV_ERROR", ...head, diagnostics });
      return;
    }
    writeGenerated(loaded, server.app, this.#location.entry);
    const { name, version } = server.app;
    this.#output.json({
      code: "DEV_OK",
      ...head,
      name,
      version,
      entry: this.#location.entry,
      host: this.#settings.config.host,
      port: server.port,
      ...countsOf(loaded, server.app),
      warnings: warningsIn(diagnostics),
      diagnostics,
    });
  }
}

/** What an app consists of; `queries`, `actions` and `routes` are those of its manifest. */
type Counted = "entities" | "functions" | "queries" | "actions" | "policies" | "routes";

function countsOf(loaded: LoadedApp, manifest: Manifest): Readonly<Record<Counted, number>> {
  const { entities, policies, queries, actions, routes } = manifest;
  return {
    entities: entities.length,
    functions: countFunctions(loaded),
    queries: queries.length,
    actions: actions.length,
    policies: policies.length,
    routes: routes.length,
  };
}

function warningsIn(diagnostics: readonly Diagnostic[]): number {
  return diagnostics.filter(({ severity }) => severity === "warning").length;
}

function summaryOf(loaded: LoadedApp, manifest: Manifest): string {
  const { entities, functions, policies } = countsOf(loaded, manifest);
  return [
    `entities: ${entities}`,
    `policies: ${policies}`,
    `functions: ${functions}`,
    ...(loaded.workflows.size === 0 ? [] : [`workflows: ${loaded.workflows.size}`]),
    ...(loaded.shards.size === 0 ? [] : [`shards: ${loaded.shards.size}`]),
    ...(loaded.web?.hasPage === true ? ["web page"] : []),
  ].join(", ");
}
