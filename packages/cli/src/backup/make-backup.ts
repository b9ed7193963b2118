import { existsSync, promises } from "node:fs";
import { dirname, join } from "node:path";
import type { Manifest } from "@pylonsync/sdk";
import { CommandError } from "../output.ts";
import { systemFailure } from "../system-failure.ts";
import { storedManifest, uploadsOf, type AppData } from "./app-data.ts";
import { copyDurably, DATABASE, filesIn, MANIFEST, seal, UPLOADS } from "./backup-folder.ts";

/** The suffix of a backup that is not complete yet, or never will be. */
export const PARTIAL = ".partial";
const OWNER_ONLY_FOLDER = 0o700;
const OWNER_ONLY_FILE = 0o600;

/** A finished backup. */
export interface MadeBackup {
  readonly manifest: Manifest | null;
  /** The folder from which the files were copied; null if they are not in a folder. */
  readonly uploads: string | null;
  readonly uploadedFiles: number;
}

/**
 * Makes a complete sealed backup in a new folder, or none. It contains all users' rows and files,
 * so only its owner can read it.
 *
 * @param copy copies the database as of one moment
 * @throws CommandError BACKUP_FAILED
 */
export async function makeBackup(
  data: AppData,
  folder: string,
  copy: (from: string, to: string) => void | Promise<void>,
): Promise<MadeBackup> {
  const growing = `${folder}${PARTIAL}`;
  try {
    await promises.rm(growing, { recursive: true, force: true });
    await promises.mkdir(growing, { recursive: true, mode: OWNER_ONLY_FOLDER });
    // The database first: files exist before the rows that refer to them, and are deleted long
    // after.
    await copy(data.database, join(growing, DATABASE));
    const manifest = await storedManifest(join(growing, DATABASE));
    if (manifest !== null)
      await promises.writeFile(join(growing, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`, {
        flush: true,
      });
    const uploads = uploadsOf(data, manifest);
    const uploadedFiles = uploads === null ? 0 : await copyFiles(uploads, join(growing, UPLOADS));
    await seal(growing, {
      app: manifest === null ? null : { name: manifest.name, version: manifest.version },
      created_at: new Date().toISOString(),
    });
    for (const entry of await promises.readdir(growing, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      await promises.chmod(path, entry.isDirectory() ? OWNER_ONLY_FOLDER : OWNER_ONLY_FILE);
      if (entry.isDirectory()) await syncFolder(path);
    }
    await syncFolder(growing);
    await promises.rename(growing, folder);
    await syncFolder(dirname(folder));
    return { manifest, uploads, uploadedFiles };
  } catch (error) {
    await promises.rm(growing, { recursive: true, force: true }).catch(() => undefined);
    const reason = systemFailure(error, growing);
    if (reason !== null)
      throw new CommandError(
        "BACKUP_FAILED",
        `The backup failed, and its partial files were removed: ` +
          `${reason.replaceAll(growing, folder)}`,
      );
    throw error;
  }
}

/** Flushes the names of a folder's files to the disk: their content is there already. */
async function syncFolder(path: string): Promise<void> {
  const handle = await promises.open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function copyFiles(from: string, to: string): Promise<number> {
  if (!existsSync(from)) return 0;
  const copied = [];
  for (const path of await filesIn(from))
    copied.push(await copyDurably(join(from, path), join(to, path)));
  return copied.filter(Boolean).length;
}
