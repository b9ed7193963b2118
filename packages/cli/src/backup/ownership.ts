import { chmod, lchown, mkdir, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Who may read and write what is at a place. */
export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  /**
   * Of what is there; null when nothing is, and the owner is that of the folder that it will be in.
   */
  readonly mode: number | null;
}

const PERMISSIONS = 0o777;
const NOT_EXECUTED = 0o666;

/** Whose a file or a folder is, or will be by the nearest folder above it that is there. */
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

/**
 * Makes the folder that a file will be in; what is missing on the way belongs to whom the nearest
 * one belongs.
 */
export async function makeFolderOf(path: string): Promise<void> {
  const made = await mkdir(dirname(path), { recursive: true });
  if (made !== undefined)
    await handOver(made, { ...(await ownershipOf(dirname(made))), mode: null });
}

/**
 * Gives a file, or a folder with all that is in it, to whom the old one belonged: what root wrote,
 * the server's own user could not open. Does nothing about a path that is not there, and only
 * root can give files away.
 */
export async function handOver(path: string, { uid, gid, mode }: Ownership): Promise<void> {
  const found = await stat(path).catch(ifMissing);
  if (found === null) return;
  for (const name of found.isDirectory() ? await readdir(path) : [])
    await handOver(join(path, name), { uid, gid, mode });
  if (process.getuid?.() === 0) await lchown(path, uid, gid);
  if (mode !== null) await chmod(path, found.isDirectory() ? mode : mode & NOT_EXECUTED);
}

function ifMissing(error: unknown): null {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
  throw error;
}
