import { relative } from "node:path";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";
import { importProblem } from "./import-problem.ts";

/**
 * Whether a file of functions/, shards/, workflows/ or migrations/ defines one of them, and is not
 * a helper, test or type file.
 */
export function isCodeFile(file: string): boolean {
  return (
    /\.(ts|js)$/.test(file) &&
    !/\.(d|test)\.(ts|js)$/.test(file) &&
    !file.startsWith("_") &&
    !file.startsWith(".")
  );
}

/** The diagnostic for a file that does not load. */
export function failedImport(code: string, file: string, root: string, error: unknown): Diagnostic {
  const { message, place } = importProblem(error, root);
  const path = relative(root, file);
  return errorAt(code, `${path} does not load: ${message}`, place ?? path);
}
