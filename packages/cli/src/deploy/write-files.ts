import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { CommandError } from "../output.ts";
import { timeStamp } from "../time-stamp.ts";
import type { DeployFile, WrittenFile } from "./deploy-file.ts";

/** Whether files that were changed by hand are overwritten. */
export interface WriteOptions {
  /** Overwrites files that differ, and keeps copies of them. */
  readonly force: boolean;
}

/**
 * Writes the files into a folder. An existing file that differs is kept, unless it is forced.
 * Either all files are written or none: each is first written to a temporary file beside its
 * destination.
 *
 * @throws CommandError DEPLOY_WRITE_FAILED
 */
export function writeFiles(
  dir: string,
  files: readonly DeployFile[],
  { force }: WriteOptions,
): WrittenFile[] {
  const temporary = new Map<string, string>();
  const suffix = `.before-${timeStamp(Date.now())}`;
  try {
    const results = files.map(({ path, content, replaces, isFirstDraft }): WrittenFile => {
      const file = join(dir, path);
      const before = existsSync(file) ? readFileSync(file, "utf8") : null;
      if (before === content || (before !== null && isFirstDraft === true))
        return { path, state: "unchanged" };
      if (before !== null && !force && replaces !== true) return { path, state: "kept" };
      mkdirSync(dirname(file), { recursive: true });
      const beside = `${file}.${process.pid}.tmp`;
      temporary.set(beside, file);
      writeFileSync(beside, content);
      return {
        path,
        state: "written",
        ...(before === null || replaces === true ? {} : { copy: `${path}${suffix}` }),
      };
    });
    for (const { path, copy } of results)
      if (copy !== undefined)
        copyFileSync(join(dir, path), join(dir, copy), constants.COPYFILE_EXCL);
    for (const [from, to] of temporary) renameSync(from, to);
    return results;
  } catch (error) {
    for (const file of temporary.keys()) rmSync(file, { force: true });
    throw new CommandError(
      "DEPLOY_WRITE_FAILED",
      `The files can't be written to ${dir}: ` +
        `${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
