import { relative } from "node:path";
import { errorText } from "../util/errors.ts";

/** The reason why a file of an app did not load. */
export interface ImportProblem {
  readonly message: string;
  /** The location in the app's own files: `functions/a.ts:3:1`. */
  readonly place: string | undefined;
}

/** The bundler's report of text that does not parse. */
interface BuildProblem {
  readonly message: string;
  readonly position: {
    readonly file: string;
    readonly line: number;
    readonly column: number;
  } | null;
}

/** @param root the app's folder; locations and names are relative to it */
export function importProblem(error: unknown, root: string): ImportProblem {
  // Several syntax errors are reported together; the first one is the one to fix, the others often
  // follow from it.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const text = errorText(first).replaceAll(`${root}/`, "");
  const message = isMissingPackage(first) ? `${text}. ${INSTALL}` : text;
  if (isBuildProblem(first)) {
    const { position } = first;
    return {
      message,
      place:
        position === null
          ? undefined
          : `${relative(root, position.file)}:${position.line}:${position.column}`,
    };
  }
  return {
    message,
    place: first instanceof Error ? placeInStack(first.stack ?? "", root) : undefined,
  };
}

/** Bun looks for a package once: after a failure, it does not see that it was installed. */
const INSTALL = "Install it and start Pylon again, or correct its name.";

/** Whether an import names a package, and not a file, that does not exist. */
function isMissingPackage(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    "specifier" in value &&
    "code" in value &&
    value.code === "ERR_MODULE_NOT_FOUND" &&
    !/^[./]/.test(String(value.specifier))
  );
}

function isBuildProblem(value: unknown): value is BuildProblem {
  return typeof value === "object" && value !== null && "position" in value;
}

/** Returns the first stack frame in the app's own files. */
function placeInStack(stack: string, root: string): string | undefined {
  for (const line of stack.split("\n")) {
    const start = line.indexOf(`${root}/`);
    if (start === -1 || line.includes("node_modules")) continue;
    const place = /^[^\s"')]+:\d+:\d+/.exec(line.slice(start + root.length + 1));
    if (place !== null) return place[0];
  }
  return undefined;
}
