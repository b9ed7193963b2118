import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The private files of an app's folder: secrets, databases, uploaded files, backups of them, and
 * the copies that a restore or `--force` kept.
 */
export const PRIVATE_FILES = [
  ".env",
  ".env.*",
  ".pylon/",
  "*.db",
  "*.db-*",
  "*.db.restoring*",
  "/uploads/",
  "/uploads.*/",
  "/backups/",
  "*.before-*",
] as const;

/**
 * Adds missing lines to a folder's `.gitignore`.
 *
 * @returns whether it had to be changed
 */
export function ignoreInGit(dir: string, lines: readonly string[]): boolean {
  const file = join(dir, ".gitignore");
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const known = new Set(text.split("\n").map((line) => line.trim()));
  const missing = lines.filter((line) => !known.has(line));
  if (missing.length === 0) return false;
  writeFileSync(
    file,
    `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${missing.join("\n")}\n`,
  );
  return true;
}
