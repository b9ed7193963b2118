import { resolve } from "node:path";
import {
  copyRows,
  describeDatabase,
  firstFilled,
  hasUnfinishedCopy,
  inspectData,
  loadApp,
  loadConfig,
  migrateToManifest,
  openStore,
  planStart,
  SERVER_VERSION,
  validateManifest,
} from "@pylonsync/server";
import type { Manifest } from "@pylonsync/sdk";
import { ENTRY, locateApp } from "../app-dir.ts";
import { checkDatabase, manifestOf } from "../backup/app-data.ts";
import { takeDatabase } from "../backup/take-database.ts";
import { defineCommand } from "../command.ts";
import { isConfirmed, YES } from "../confirm.ts";
import { counted } from "../counted.ts";
import { resolvePaths } from "../data-place.ts";
import { hasErrors, sayDiagnostics } from "../diagnostics.ts";
import { withEnvFiles, type Environment } from "../env-files.ts";
import { CommandError, EXIT, type Output } from "../output.ts";

type Store = Awaited<ReturnType<typeof openStore>>;
type Database = ReturnType<typeof loadConfig>["database"];

/** `pylon copy-to-postgres`: copies the SQLite database of an app to Postgres. */
export const copyToPostgres = defineCommand({
  name: "copy-to-postgres",
  args: ["[DIR]"],
  summary:
    "Copy the SQLite database of the app in DIR to the empty Postgres database of DATABASE_URL, " +
    "with its users, passwords, sessions and jobs: users stay signed in.",
  options: { entry: ENTRY, ...YES },
  async run(context) {
    const { dir, entry } = locateApp(context, "COPY");
    const { output } = context;
    const { env } = withEnvFiles(dir, context.env);
    const { source, target } = databasesOf(dir, env);
    const loaded = await loadApp(dir, { entry, dev: false });
    const { manifest, diagnostics } = validateManifest(loaded.manifest, loaded.manifestModule);
    if (manifest === null || hasErrors(diagnostics)) {
      sayDiagnostics([...loaded.diagnostics, ...diagnostics], output);
      throw new CommandError("COPY_INVALID_MANIFEST", "The app's manifest is not valid.");
    }
    using _lock = await takeDatabase(source.path, "COPY_IN_USE");
    const place = describeDatabase(target);
    if (!(await isConfirmed(context, `Copy ${source.path} to ${place}?`))) {
      output.say("Aborted.");
      return EXIT.OK;
    }
    const rows = await copy(source, target, manifest, output);
    const count = Object.values(rows).reduce((sum, n) => sum + n, 0);
    output.say(
      `Copied ${counted(count, "row")} to ${place}. Start the server with this DATABASE_URL. ` +
        "Uploaded files were not copied: they stay in the folder, or in S3.",
    );
    output.json({ code: "COPY_OK", source: source.path, database: place, rows });
    return EXIT.OK;
  },
});

/** @throws CommandError if the variables name no SQLite source or no Postgres target */
function databasesOf(
  dir: string,
  env: Environment,
): { source: Extract<Database, { kind: "sqlite" }>; target: Database } {
  const dev = { PYLON_DEV_MODE: "1" };
  const withoutTarget = { ...env, DATABASE_URL: "" };
  const { database: source } = loadConfig(
    { ...withoutTarget, ...dev },
    resolvePaths(dir, withoutTarget, { files: false, whenNone: "served" }),
  );
  const { database: target } = loadConfig({ ...env, ...dev }, {});
  if (target.kind !== "postgres")
    throw new CommandError(
      "COPY_NO_TARGET",
      "Set DATABASE_URL to an empty Postgres database: postgres://user:password@host:5432/name.",
    );
  if (source.kind !== "sqlite")
    throw new CommandError("COPY_NO_SOURCE", "There is no SQLite database to copy.");
  checkDatabase(source.path);
  return { source: { ...source, path: resolve(source.path) }, target };
}

async function copy(
  source: Database,
  target: Database,
  manifest: Manifest,
  output: Output,
): ReturnType<typeof copyRows> {
  const options = { startTimeoutMs: 0, onState: () => undefined };
  const migration = { pylonVersion: SERVER_VERSION, dev: false };
  const from = await openStore(source, options);
  try {
    await checkMigrated(from, manifest);
    await migrateToManifest(from, manifest, migration);
    const to = await openStore(target, options);
    try {
      if ((await to.storedManifest()) !== null && (await hasUnfinishedCopy(to)))
        throw notEmpty(target, "has a part of a copy that was not finished.");
      await migrateToManifest(to, manifest, migration);
      const filled = await firstFilled(to, manifest);
      if (filled !== null) throw notEmpty(target, `has rows already, in ${filled}.`);
      return await copyRows(from, to, manifest, {
        onProgress: (table, count) => output.say(`${table}: ${counted(count, "row")}`),
      });
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

/** @throws CommandError if the database does not have the schema of the app */
async function checkMigrated(store: Store, manifest: Manifest): Promise<void> {
  const stored = await store.storedManifest();
  const known = stored === null ? null : manifestOf(stored);
  const facts = await inspectData(store, manifest);
  const { migration, problems } = planStart(known, manifest, facts, { dev: false });
  if (migration.steps.length === 0 && problems.length === 0) return;
  throw new CommandError(
    "COPY_NOT_MIGRATED",
    "The database does not have the schema of the app yet: see `pylon migrate plan`, and run " +
      "`pylon migrate apply` first.",
  );
}

function notEmpty(target: Database, why: string): CommandError {
  return new CommandError(
    "COPY_NOT_EMPTY",
    `${describeDatabase(target)} ${why} Copy to a new, empty database.`,
  );
}
