import { existsSync, readdirSync, realpathSync } from "node:fs";
import { basename, isAbsolute, join, relative, resolve, sep } from "node:path";
import { isCodeFile } from "./code-file.ts";
import { importGraph } from "./import-graph.ts";

/** The folders, besides that of the functions, whose files are loaded. */
const CODE_FOLDERS = ["workflows", "migrations", "shards"];

/** Where the code of an app begins. */
export interface AppEntries {
  /** The app's folder. */
  readonly dir: string;
  /** The file that declares the app, relative to the folder; default `app.ts`. */
  readonly entry?: string | undefined;
  /** Default `functions`. */
  readonly functionsDir?: string | undefined;
}

/** The files whose content an app consists of, apart from its page. */
export interface AppGraph {
  readonly files: ReadonlySet<string>;
  /** What files import although it does not exist: paths, possibly without their extension. */
  readonly missing: readonly string[];
}

const SOURCES = resolve(import.meta.dir, "../../..");
/** Whether the server itself runs from its source files, as in a clone of the repository. */
const runsFromSources = import.meta.dir === join(SOURCES, "server", "src", "app");

/**
 * Whether a file belongs to an app, in its folder or elsewhere: not to an installed package, nor to
 * the server, which must not be loaded twice.
 *
 * @param path without links: packages of the same workspace are links in node_modules
 */
export function isAppFile(path: string): boolean {
  return (
    isAbsolute(path) &&
    !path.includes(`${sep}node_modules${sep}`) &&
    !(runsFromSources && path.startsWith(SOURCES + sep))
  );
}

/** Returns the files that the code of an app imports, directly or indirectly. */
export function appGraph(entries: AppEntries): AppGraph {
  const files = new Set<string>();
  const missing = new Set<string>();
  for (const entry of entryFiles(entries)) {
    if (files.has(entry)) continue;
    const isNew = (path: string): boolean => isAppFile(path) && !files.has(path);
    const options = { hasDynamic: true, onMissing: (path: string) => void missing.add(path) };
    for (const path of importGraph(entry, isNew, options)) files.add(path);
  }
  return { files, missing: [...missing] };
}

/** Returns the folders whose code files belong to the app without being imported, by real path. */
export function codeFolders({ dir, functionsDir = "functions" }: AppEntries): string[] {
  const root = realpathSync(dir);
  const functions = resolve(root, functionsDir);
  return [
    existsSync(functions) ? realpathSync(functions) : functions,
    ...CODE_FOLDERS.map((name) => join(root, name)),
  ];
}

/** Whether a file in one of these folders is loaded without being imported. */
export function isEntryIn(folder: string, path: string): boolean {
  if (!path.startsWith(folder + sep)) return false;
  const parts = relative(folder, path).split(sep);
  return (
    isCodeFile(basename(path)) &&
    parts.every((part) => !/^[._]/.test(part) && part !== "node_modules")
  );
}

function entryFiles(entries: AppEntries): string[] {
  const entry = join(realpathSync(entries.dir), entries.entry ?? "app.ts");
  const inFolders = codeFolders(entries)
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: "utf8" })
        .map((file) => join(folder, file))
        .filter((path) => isEntryIn(folder, path)),
    );
  return [existsSync(entry) ? realpathSync(entry) : entry, ...inFolders];
}
