import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Diagnostic } from "../schema/diagnostic.ts";
import { frameAt, type WebPlace, type WebProblem } from "./web-problem.ts";

/** Why the saved version of an app is not served; empty while it is. */
export type AppProblems = readonly Diagnostic[];

/**
 * Returns a diagnostic with the code around it, if it names a file.
 *
 * @param dir the app's folder
 */
export function appProblem({ message, path, hint }: Diagnostic, dir: string): WebProblem {
  return { message, hint, place: path === undefined ? null : placeOf(path, dir) };
}

/** A path of a diagnostic is `functions/a.ts:3:5`, a file, or a location in the manifest. */
function placeOf(path: string, dir: string): WebPlace {
  const [, file = path, line, column] = /^(.+?):(\d+)(?::(\d+))?$/.exec(path) ?? [];
  const found = join(dir, file);
  if (line === undefined || !isFile(found)) return { file: path, ...NO_LINE };
  return { file, line: +line, column: +(column ?? 1), frame: frameAt(found, +line) };
}

const NO_LINE = { line: null, column: null, frame: [] } as const;

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}
