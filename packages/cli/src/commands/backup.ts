import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { copyDatabase } from "@pylonsync/server";
import { checkDatabase, locateData, storedManifest, uploadsOf } from "../backup/app-data.ts";
import { copyDurably, DATABASE, filesIn, MANIFEST, seal, UPLOADS } from "../backup/backup-folder.ts";
import { defineCommand } from "../command.ts";
import { CommandError, EXIT } from "../output.ts";
import { systemFailure } from "../system-failure.ts";

export const backup = defineCommand({
  name: "backup",
  args: ["TARGET", "[DIR]"],
  summary: "Copy the SQLite database and the uploaded files of the app in DIR to a new folder, also while it is served.",
  options: {},
  async run({ args: [target, dir = "."], env, output }) {
    if (target === undefined) throw new CommandError("BACKUP_NO_TARGET", "Name a new folder: `pylon backup backups/monday`.", EXIT.USAGE);
    const folder = resolve(target);
    if (existsSync(folder)) throw new CommandError("BACKUP_TARGET_EXISTS", `${target} exists already: name a new folder.`);
    const data = locateData(resolve(dir), env);
    checkDatabase(data.database);
    const growing = `${folder}.partial`;
    // It holds everybody's rows and files: nobody else is to read it.
    process.umask(0o077);
    try {
      await rm(growing, { recursive: true, force: true });
      await mkdir(growing, { recursive: true });
      // The database first: files come before the rows that name them, and go long after.
      copyDatabase(data.database, join(growing, DATABASE));
      const manifest = await storedManifest(join(growing, DATABASE));
      if (manifest !== null) await writeFile(join(growing, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
      const uploads = uploadsOf(data, manifest);
      const uploaded = uploads === null ? 0 : await copyFiles(uploads, join(growing, UPLOADS));
      await seal(growing, { app: manifest === null ? null : { name: manifest.name, version: manifest.version }, created_at: new Date().toISOString() });
      await rename(growing, folder);
      output.say(`Backed up ${data.database} and ${uploaded} uploaded ${uploaded === 1 ? "file" : "files"}${uploads === null ? "" : ` of ${uploads}`} to ${target}.`);
      if (uploads === null) output.say("Uploaded files are in S3, which has its own versions; they are not in the backup.");
      output.json({ code: "BACKUP_OK", ok: true, target: folder, db: true, manifest: manifest !== null, uploaded_files: uploaded, database: data.database, uploads });
      return EXIT.OK;
    } catch (error) {
      await rm(growing, { recursive: true, force: true }).catch(() => undefined);
      const reason = systemFailure(error, growing);
      if (reason !== null) throw new CommandError("BACKUP_FAILED", `The backup was not made, and nothing is left of it: ${reason.replaceAll(growing, folder)}`);
      throw error;
    }
  },
});

async function copyFiles(from: string, to: string): Promise<number> {
  if (!existsSync(from)) return 0;
  const copied = [];
  for (const path of await filesIn(from)) copied.push(await copyDurably(join(from, path), join(to, path)));
  return copied.filter(Boolean).length;
}
