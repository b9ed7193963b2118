import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { locateData, storedManifest, uploadsOf } from "../backup/app-data.ts";
import {
  copyDurably,
  DATABASE,
  UPLOADS,
  verified,
  type Contents,
} from "../backup/backup-folder.ts";
import { applyOwnership, makeFolderOf, ownershipOf } from "../backup/ownership.ts";
import { renewLogOf } from "../backup/renew-log.ts";
import { takeDatabase } from "../backup/take-database.ts";
import { defineCommand } from "../command.ts";
import { isConfirmed, YES } from "../confirm.ts";
import { CommandError, EXIT } from "../output.ts";
import { systemFailure } from "../system-failure.ts";
import { timeStamp } from "../time-stamp.ts";

/** `pylon restore`: replaces an app's data with a backup. */
export const restore = defineCommand({
  name: "restore",
  args: ["SOURCE", "[DIR]"],
  summary:
    "Replace the app's database and uploaded files with a backup. The previous data is kept " +
    "next to it.",
  options: { ...YES },
  async run(context) {
    const { args, env, output } = context;
    const [source, dir = "."] = args;
    if (source === undefined)
      throw new CommandError(
        "RESTORE_NO_SOURCE",
        "Specify the folder of the backup: `pylon restore backups/monday`.",
        EXIT.USAGE,
      );
    const folder = resolve(source);
    const contents = await verified(folder);
    const data = locateData(resolve(dir), env);
    const uploads = uploadsOf(data, await storedManifest(join(folder, DATABASE)));
    // The previous data was private to its owner, and so is the restored data.
    process.umask(0o077);
    using _lock = await takeDatabase(data.database, "RESTORE_IN_USE");
    if (
      !(await isConfirmed(
        context,
        `Replace ${data.database}${uploads === null ? "" : ` and ${uploads}`} with the backup ` +
          `of ${contents.created_at}?`,
      ))
    ) {
      output.say("Aborted.");
      return EXIT.OK;
    }
    const kept = await replace(folder, contents, data.database, uploads);
    const files = Object.keys(contents.files).filter((path) =>
      path.startsWith(`${UPLOADS}/`),
    ).length;
    output.say(
      `Restored the backup of ${contents.created_at}: ${data.database} and ${files} ` +
        "uploaded " +
        `${files === 1 ? "file" : "files"}${uploads === null ? "" : ` in ${uploads}`}. ` +
        "Clients will load a new snapshot.",
    );
    for (const path of kept) output.say(`The previous data is at ${path}.`);
    output.json({
      code: "RESTORE_OK",
      ok: true,
      source: folder,
      db: true,
      manifest: contents.app !== null,
      restored_files: uploads === null ? 0 : files,
      database: data.database,
      uploads,
      kept,
    });
    return EXIT.OK;
  },
});

/**
 * Copies first and renames last, so that an error in between leaves the previous data.
 *
 * @returns where the previous data is now
 */
async function replace(
  folder: string,
  { files }: Contents,
  database: string,
  uploads: string | null,
): Promise<string[]> {
  const stamp = timeStamp(Date.now());
  const fresh = `${database}.restoring`;
  const freshUploads = uploads === null ? null : `${uploads}.restoring`;
  const owner = await ownershipOf(database);
  await discard(fresh, freshUploads);
  try {
    await copyDurably(join(folder, DATABASE), fresh);
    await renewLogOf({ kind: "sqlite", path: fresh, isTemporary: false });
    await applyOwnership(fresh, owner);
    if (uploads !== null && freshUploads !== null) {
      await makeFolderOf(uploads);
      await mkdir(freshUploads, { recursive: true });
      for (const path of Object.keys(files).filter((name) => name.startsWith(`${UPLOADS}/`)))
        await copyDurably(join(folder, path), join(freshUploads, path.slice(UPLOADS.length + 1)));
      await applyOwnership(freshUploads, await ownershipOf(uploads));
    }
  } catch (error) {
    await discard(fresh, freshUploads);
    const reason = systemFailure(error, fresh);
    if (reason !== null) throw new CommandError("RESTORE_FAILED", `Nothing was changed: ${reason}`);
    throw error;
  }
  const kept: string[] = [];
  const exchange = async (
    from: string,
    to: string,
    companions: readonly string[] = [],
  ): Promise<void> => {
    if (existsSync(to)) kept.push(`${to}.before-${stamp}`);
    for (const suffix of ["", ...companions]) {
      if (existsSync(`${to}${suffix}`))
        await rename(`${to}${suffix}`, `${to}.before-${stamp}${suffix}`);
    }
    await rename(from, to);
  };
  // The write-ahead log belongs to the database for which it was written.
  await exchange(fresh, database, ["-wal", "-shm"]);
  if (uploads !== null && freshUploads !== null) await exchange(freshUploads, uploads);
  return kept;
}

async function discard(database: string, uploads: string | null): Promise<void> {
  for (const path of [
    database,
    `${database}-wal`,
    `${database}-shm`,
    ...(uploads === null ? [] : [uploads]),
  ])
    await rm(path, { recursive: true, force: true });
}
