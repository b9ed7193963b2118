import { readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseEnvText } from "./settings/env-text.ts";
import { unknownVariables } from "./settings/variable-names.ts";

const FILES = [".env.local", ".env"];

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** An environment including the values of files. */
export interface FilledEnvironment {
  readonly env: Environment;
  /** The paths of the files that were read. */
  readonly files: readonly string[];
  /** Names in the files with Pylon's prefix that nothing reads. */
  readonly warnings: readonly string[];
}

/**
 * The environment with the nearest `.env.local` and `.env`: the process's own values have
 * precedence, then those of `.env.local`.
 *
 * @param dir searched upwards for the first folder that has one of them
 * @throws Error of the system if a file can't be read
 */
export function withEnvFiles(dir: string, env: Environment): FilledEnvironment {
  const files = nearestFiles(resolve(dir));
  const parsed = files.map((file) => parseEnvText(readFileSync(file, "utf8")));
  const filled: Environment = Object.assign({}, ...parsed.toReversed(), env);
  return {
    env: filled,
    files,
    warnings: parsed.flatMap((values, index) =>
      unknownVariables(Object.keys(values)).map(
        ({ name, meant }) =>
          `${files[index]} sets ${name}, which nothing ` +
          `reads${meant === undefined ? "." : `: did you mean ${meant}?`}`,
      ),
    ),
  };
}

function nearestFiles(dir: string): string[] {
  const here = FILES.map((name) => join(dir, name)).filter(isFile);
  const parent = dirname(dir);
  return here.length > 0 || parent === dir ? here : nearestFiles(parent);
}

/** A folder named `.env` is a virtual environment of Python, and is ignored. */
function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
