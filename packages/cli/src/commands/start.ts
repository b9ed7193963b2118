import { createServer, describeDatabase, loadApp, loadConfig } from "@pylonsync/server";
import { ENTRY, locateApp } from "../app-dir.ts";
import { defineCommand } from "../command.ts";
import { servedData } from "../data-place.ts";
import { sayDiagnostics } from "../diagnostics.ts";
import { EXIT } from "../output.ts";
import { surviveStrayRejections } from "../process-net.ts";
import { stopSignal } from "../stop-signal.ts";

export const start = defineCommand({
  name: "start",
  args: ["[DIR]"],
  summary: "Serve the app in production.",
  options: {
    port: { type: "string", value: "N", summary: "The port; default PYLON_PORT, and without that 4321." },
    entry: ENTRY,
  },
  async run(context) {
    const { dir, entry } = locateApp(context, "START");
    const { output, options, env } = context;
    const config = loadConfig(options.port === undefined ? env : { ...env, PYLON_PORT: options.port }, servedData(dir, env));
    const app = await loadApp(dir, { entry, functionsDir: config.functionsDir, dev: config.dev });
    const server = createServer({ app, config, env });
    surviveStrayRejections();
    const stopped = stopSignal();
    await server.start();
    sayDiagnostics(server.diagnostics, output);
    output.json({ code: "START_OK", name: server.app.name, version: server.app.version, entry, port: server.port, db_path: describeDatabase(config.database), backend: config.database.kind });
    output.say(`${server.app.name} ${server.app.version} is served at ${server.url}`);
    await stopped;
    await server.leave();
    await server.stop();
    return EXIT.OK;
  },
});
