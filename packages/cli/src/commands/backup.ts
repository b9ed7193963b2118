import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { copyDatabase } from "@pylonsync/server";
import { checkDatabase, locateData } from "../backup/app-data.ts";
import { makeBackup } from "../backup/make-backup.ts";
import { defineCommand } from "../command.ts";
import { CommandError, EXIT } from "../output.ts";

/** `pylon backup`: copies the database and the files to a new folder. */
export const backup = defineCommand({
  name: "backup",
  args: ["TARGET", "[DIR]"],
  summary:
    "Copy the SQLite database and the uploaded files of the app in DIR to a new folder; works " +
    "while the app is running.",
  options: {},
  async run({ args: [target, dir = "."], env, output }) {
    if (target === undefined)
      throw new CommandError(
        "BACKUP_NO_TARGET",
        "Specify a new folder: `pylon backup backups/monday`.",
        EXIT.USAGE,
      );
    const folder = resolve(target);
    if (existsSync(folder))
      throw new CommandError(
        "BACKUP_TARGET_EXISTS",
        `${target} already exists: specify a new folder.`,
      );
    const data = locateData(resolve(dir), env);
    checkDatabase(data.database);
    const { manifest, uploads, uploadedFiles } = await makeBackup(data, folder, copyDatabase);
    output.say(
      `Backed up ${data.database} and ${uploadedFiles} uploaded ` +
        `${uploadedFiles === 1 ? "file" : "files"}${uploads === null ? "" : ` of ${uploads}`} ` +
        `to ${target}.`,
    );
    if (uploads === null)
      output.say(
        "Uploaded files are in S3, which has its own versioning; they are not part of the backup.",
      );
    output.json({
      code: "BACKUP_OK",
      ok: true,
      target: folder,
      db: true,
      manifest: manifest !== null,
      uploaded_files: uploadedFiles,
      database: data.database,
      uploads,
    });
    return EXIT.OK;
  },
});
