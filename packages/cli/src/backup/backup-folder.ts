import { createReadStream, existsSync, promises } from "node:fs";
import { dirname, join, relative } from "node:path";
import { CommandError } from "../output.ts";

/** The version of the layout of a backup folder. */
const LAYOUT = 1;
/** The table of contents, written last: a folder without it is not a backup. */
export const CONTENTS = "backup.json";

/** The copy of the database. */
export const DATABASE = "pylon.db";
/** The manifest that the database was last migrated to. */
export const MANIFEST = "pylon.manifest.json";
/** The folder of uploaded files. */
export const UPLOADS = "uploads";

/** The contents of a backup, in its `backup.json`. */
export interface Contents {
  readonly layout: number;
  readonly app: { readonly name: string; readonly version: string } | null;
  /** ISO 8601 UTC. */
  readonly created_at: string;
  /** By path in the folder, with `/`. */
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
}

/**
 * Writes the table of contents, last of all: a folder without it is not a backup. It is on the disk
 * when the promise resolves, because older backups are then deleted.
 */
export async function seal(
  folder: string,
  about: Pick<Contents, "app" | "created_at">,
): Promise<Contents> {
  const files: Record<string, Contents["files"][string]> = {};
  for (const path of await filesIn(folder)) files[path] = await digest(join(folder, path));
  const contents: Contents = { layout: LAYOUT, ...about, files };
  await promises.writeFile(join(folder, CONTENTS), `${JSON.stringify(contents, null, 2)}\n`, {
    flush: true,
  });
  return contents;
}

/**
 * Returns the contents of a backup, after every byte was verified.
 *
 * @throws CommandError RESTORE_NO_BACKUP, RESTORE_LAYOUT, RESTORE_DAMAGED
 */
export async function verified(folder: string): Promise<Contents> {
  const text = await promises.readFile(join(folder, CONTENTS), "utf8").catch(() => null);
  if (text === null)
    throw new CommandError(
      "RESTORE_NO_BACKUP",
      `${folder} is not a backup: it has no ${CONTENTS}.`,
    );
  const contents = parse(text);
  if (contents === null || contents.layout !== LAYOUT || contents.files[DATABASE] === undefined) {
    throw new CommandError(
      "RESTORE_LAYOUT",
      `${folder} has a layout that this version can't read: ` +
        "use the version of Pylon that created it.",
    );
  }
  for (const [path, { bytes, sha256 }] of Object.entries(contents.files)) {
    if (path.split("/").includes("..") || !existsSync(join(folder, path)))
      throw damaged(folder, path, "is missing");
    const found = await digest(join(folder, path));
    if (found.bytes !== bytes || found.sha256 !== sha256)
      throw damaged(folder, path, "differs from what was backed up");
  }
  return contents;
}

/** The paths of all files below a folder, with `/`, except for unfinished uploads. */
export async function filesIn(folder: string): Promise<string[]> {
  const entries = await promises.readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .filter((path) => !path.split("/").includes(".incoming"))
    .toSorted();
}

/**
 * Copies a file; its content is on the disk when the promise resolves.
 *
 * @returns false if it was deleted in the meantime
 */
export async function copyDurably(from: string, to: string): Promise<boolean> {
  await promises.mkdir(dirname(to), { recursive: true });
  const source = await promises.open(from, "r").catch(ifMissing);
  if (source === null) return false;
  const target = await promises.open(to, "wx");
  try {
    const chunks: AsyncIterable<Uint8Array> = source.createReadStream({ autoClose: false });
    for await (const chunk of chunks) await target.writeFile(chunk);
    await target.sync();
    return true;
  } finally {
    await target.close();
    await source.close();
  }
}

async function digest(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = new Bun.CryptoHasher("sha256");
  let bytes = 0;
  const chunks: AsyncIterable<Uint8Array> = createReadStream(path);
  for await (const chunk of chunks) {
    hash.update(chunk);
    bytes += chunk.byteLength;
  }
  return { bytes, sha256: hash.digest("hex") };
}

function parse(text: string): Contents | null {
  try {
    const value: Contents | null = JSON.parse(text);
    return typeof value?.files === "object" ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function damaged(folder: string, path: string, how: string): CommandError {
  return new CommandError(
    "RESTORE_DAMAGED",
    `${path} in ${folder} ${how}: use another backup. Nothing was changed.`,
  );
}

function ifMissing(error: unknown): null {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
  throw error;
}
