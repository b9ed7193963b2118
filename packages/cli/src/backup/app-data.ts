import { existsSync } from "node:fs";
import { resolve } from "node:path";
import {
  fileSettings,
  loadConfig,
  openStore,
  resolvePlugins,
  type Config,
} from "@pylonsync/server";
import type { Manifest } from "@pylonsync/sdk";
import { resolvePaths } from "../data-place.ts";
import { withEnvFiles, type Environment } from "../env-files.ts";
import { CommandError } from "../output.ts";

/**
 * Where an app stores its data, according to the environment and the app's `.env` files, or to the
 * contents of its folder.
 */
export interface AppData {
  readonly config: Config;
  readonly env: Environment;
  /** The database's file. */
  readonly database: string;
  /** The folder of uploaded files that `dir` and the environment specify. */
  readonly uploads: string;
}

/**
 * @param dir the folder of the app
 * @throws CommandError if the data is not in files on this machine, or it is ambiguous in which
 */
export function locateData(dir: string, own: Environment): AppData {
  const { env } = withEnvFiles(dir, own);
  const config = loadConfig(
    { ...env, PYLON_DEV_MODE: "1" },
    resolvePaths(dir, env, { files: true, whenNone: "served" }),
  );
  if (config.database.kind !== "sqlite") {
    throw new CommandError(
      "BACKUP_NOT_SQLITE",
      "The database is Postgres, which has its own backups: pg_dump, or snapshots of RDS and " +
        "Aurora. After a restore, run `pylon resync`; see docs/deploy/operations.md.",
    );
  }
  return {
    config,
    env,
    database: resolve(config.database.path),
    uploads: resolve(config.files.dir),
  };
}

/** @throws CommandError if there is no database */
export function checkDatabase(path: string): void {
  if (!existsSync(path))
    throw new CommandError(
      "BACKUP_NO_DATABASE",
      `There is no database at ${path}: specify the app's folder, ` +
        "or set PYLON_DB_PATH to the server's database file.",
    );
}

/** Parses a manifest that a database of the server has stored. */
export function manifestOf(stored: string): Manifest {
  const manifest: Manifest = JSON.parse(stored);
  return manifest;
}

/** The manifest to which the database was last migrated. */
export async function storedManifest(database: string): Promise<Manifest | null> {
  const store = await openStore(
    { kind: "sqlite", path: database, isTemporary: false },
    { startTimeoutMs: 0, onState: () => undefined },
  );
  try {
    const stored = await store.storedManifest();
    return stored === null ? null : manifestOf(stored);
  } finally {
    await store.close();
  }
}

/** The folder of uploaded files; null if they are not in a folder. */
export function uploadsOf(
  { config, env, uploads }: AppData,
  manifest: Manifest | null,
): string | null {
  const plugin = resolvePlugins(manifest?.plugins ?? [], env).get("file_storage");
  const { storage } = fileSettings({ ...config.files, dir: uploads }, plugin);
  return storage.kind === "local" ? resolve(storage.dir) : null;
}
