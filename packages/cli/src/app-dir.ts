import { existsSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { Option } from "./command.ts";
import { CommandError, EXIT } from "./output.ts";

/** The folder of an app and its entry file. */
export interface AppLocation {
  readonly dir: string;
  /** The entry's file name. */
  readonly entry: string;
}

/** The flag of every command that applies to an app. */
export const ENTRY = {
  type: "string",
  value: "FILE",
  summary: "The app's entry file; default app.ts.",
} as const satisfies Option;

interface Naming {
  readonly args: readonly string[];
  readonly options: { readonly entry: string | undefined };
}

/**
 * Locates the app of a command: its argument is a folder or an entry file, default the current
 * folder's `app.ts`.
 *
 * @param prefix the prefix of the error codes: DEV, START, CODEGEN
 * @throws CommandError <PREFIX>_NO_ENTRY, <PREFIX>_ENTRY_NOT_FOUND
 */
export function locateApp({ args, options }: Naming, prefix: string): AppLocation {
  const target = resolve(args[0] ?? options.entry ?? ".");
  const isFolder = existsSync(target) && statSync(target).isDirectory();
  const file = isFolder
    ? join(target, options.entry !== undefined && args[0] !== undefined ? options.entry : "app.ts")
    : target;
  if (existsSync(file)) return { dir: dirname(file), entry: basename(file) };
  const named = args[0] ?? options.entry;
  if (named === undefined) {
    throw new CommandError(
      `${prefix}_NO_ENTRY`,
      "There is no app.ts here: create an app with `pylon init NAME`, or specify the app's folder.",
      EXIT.USAGE,
    );
  }
  throw new CommandError(
    `${prefix}_ENTRY_NOT_FOUND`,
    `There is no ${isFolder ? "app.ts in " : ""}${named}: create an app with \`pylon init NAME\`.`,
  );
}
