import { mkdirSync } from "node:fs";
import { resolve, sep } from "node:path";
import {
  createServer,
  describeDatabase,
  loadApp,
  loadConfig,
  type Config,
} from "@pylonsync/server";
import { ENTRY, locateApp } from "../app-dir.ts";
import type { AppData } from "../backup/app-data.ts";
import { BackupSchedule, type ScheduleOptions } from "../backup/backup-schedule.ts";
import { copyOnThread } from "../backup/copy-on-thread.ts";
import { makeBackup } from "../backup/make-backup.ts";
import { defineCommand } from "../command.ts";
import { productionPaths } from "../data-place.ts";
import { sayDiagnostics } from "../diagnostics.ts";
import type { Environment } from "../env-files.ts";
import { LISTEN, withListenOptions } from "../listen-options.ts";
import { CommandError, EXIT } from "../output.ts";
import { keepAliveOnUnhandledRejection } from "../process-net.ts";
import { isStarted, stopSignal } from "../stop-signal.ts";
import { systemFailure } from "../system-failure.ts";

/** `pylon start`: serves the app in production. */
export const start = defineCommand({
  name: "start",
  args: ["[DIR]"],
  summary: "Serve the app in production.",
  options: {
    ...LISTEN,
    entry: ENTRY,
  },
  async run(context) {
    const { dir, entry } = locateApp(context, "START");
    const { output, options, env } = context;
    const config = loadConfig(withListenOptions(options, env), productionPaths(dir, env));
    const loaded = await loadApp(dir, {
      entry,
      functionsDir: config.functionsDir,
      dev: config.dev,
    });
    const server = createServer({ app: loaded, config, env });
    keepAliveOnUnhandledRejection();
    const stopped = stopSignal();
    const backups = backupSchedule(config, env, (folder, outcome) =>
      server.recordBackup(folder, outcome),
    );
    if (!(await isStarted(server.start(), stopped, () => server.isListening))) {
      output.say("Stopped before it was ready.");
      return EXIT.OK;
    }
    backups?.start();
    sayDiagnostics(server.diagnostics, output);
    output.json({
      code: "START_OK",
      name: server.app.name,
      version: server.app.version,
      entry,
      port: server.port,
      db_path: describeDatabase(config.database),
      backend: config.database.kind,
    });
    output.say(`${server.app.name} ${server.app.version} is running at ${server.url}`);
    await stopped;
    backups?.stop();
    await server.beginDrain();
    await server.stop();
    return EXIT.OK;
  },
});

/**
 * The backups that PYLON_BACKUP_DIR requests; their folder is created here, so that the start fails
 * if it can't be.
 *
 * @throws CommandError START_BACKUP_DIR
 */
function backupSchedule(
  config: Config,
  env: Environment,
  onResult: ScheduleOptions["onResult"],
): BackupSchedule | null {
  if (config.backup === null || config.database.kind !== "sqlite") return null;
  const dir = resolve(config.backup.dir);
  const data: AppData = {
    config,
    env,
    database: resolve(config.database.path),
    uploads: resolve(config.files.dir),
  };
  if (`${dir}${sep}`.startsWith(`${data.uploads}${sep}`))
    throw new CommandError(
      "START_BACKUP_DIR",
      `PYLON_BACKUP_DIR is ${dir}, within the uploaded files of ${data.uploads}: each backup ` +
        `would contain the ` +
        "previous ones. Use another folder.",
    );
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new CommandError(
      "START_BACKUP_DIR",
      `PYLON_BACKUP_DIR can't be used: ${systemFailure(error, dir) ?? String(error)}`,
    );
  }
  return new BackupSchedule({
    ...config.backup,
    dir,
    onResult,
    now: Date.now,
    make: (folder) => makeBackup(data, folder, (from, to) => copyOnThread({ from, to })),
  });
}
