import { existsSync, readFileSync, realpathSync } from "node:fs";
import { relative, sep } from "node:path";
import { isAppFile } from "./app-graph.ts";
import { importGraph } from "./import-graph.ts";

const HEX_DIGITS = 16;

/**
 * Returns a hash of the code that a file runs: the paths and contents of the file and of all files
 * of the app that it imports. Installed packages are excluded, because a lock file pins them.
 *
 * @param root the app's folder
 * @returns null if the file does not exist, as in an executable
 */
export function codeHash(file: string, root: string): string | null {
  if (!existsSync(file)) return null;
  const [entry, folder] = [realpathSync(file), realpathSync(root)];
  const hash = new Bun.CryptoHasher("sha256");
  for (const path of [...importGraph(entry, isAppFile)].toSorted()) {
    const content = readFileSync(path);
    const place = relative(folder, path).replaceAll(sep, "/");
    hash.update(`${place}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex").slice(0, HEX_DIGITS);
}
