import { chmod, lchown, mkdir, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/** The owner and permissions of a path. */
export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  /** Null if the path does not exist, and the owner is that of its future folder. */
  readonly mode: number | null;
}

const PERMISSIONS = 0o777;
const NOT_EXECUTED = 0o666;

/** The owner of a file or a folder, or of the nearest existing folder above it. */
export async function ownershipOf(path: string): Promise<Ownership> {
  let mode: number | null = null;
  for (let place = path; ; place = dirname(place)) {
    const found = await stat(place).catch(ifMissing);
    if (found !== null) {
      if (place === path) mode = found.mode & PERMISSIONS;
      return { uid: found.uid, gid: found.gid, mode };
    }
    if (place === dirname(place)) throw new Error(`${path} is nowhere.`);
  }
}

/** Creates the folder of a file; missing folders get the owner of the nearest existing one. */
export async function makeFolderOf(path: string): Promise<void> {
  const made = await mkdir(dirname(path), { recursive: true });
  if (made !== undefined)
    await applyOwnership(made, { ...(await ownershipOf(dirname(made))), mode: null });
}

/**
 * Gives a file, or a folder with its contents, to the owner of the previous one: the server's user
 * could not open files that root wrote. Does nothing for a path that does not exist; only root can
 * change owners.
 */
export async function applyOwnership(path: string, { uid, gid, mode }: Ownership): Promise<void> {
  const found = await stat(path).catch(ifMissing);
  if (found === null) return;
  for (const name of found.isDirectory() ? await readdir(path) : [])
    await applyOwnership(join(path, name), { uid, gid, mode });
  if (process.getuid?.() === 0) await lchown(path, uid, gid);
  if (mode !== null) await chmod(path, found.isDirectory() ? mode : mode & NOT_EXECUTED);
}

function ifMissing(error: unknown): null {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
  throw error;
}
