import { existsSync, realpathSync, statSync, watch, type FSWatcher } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { systemPlatform, type Platform, type Timer } from "../platform.ts";
import { errorCode } from "../util/errors.ts";
import { appGraph, codeFolders, isEntryIn, type AppEntries, type AppGraph } from "./app-graph.ts";
import { onPageImport, pageImports } from "./page-imports.ts";

const SETTLE_MS = 25;

/** The part of an app that was saved. */
export type AppPart = "app" | "functions" | "web" | "env";

/** What is watched, and how. */
export interface WatchOptions extends AppEntries {
  /** The files with environment variables that were read; they may be in a folder above the app. */
  readonly envFiles?: readonly string[];
  readonly platform?: Pick<Platform, "after">;
}

/** A folder outside of the app from which it imports files. */
interface OutsideFolder {
  /** Differs from that of a folder that was at the same path before. */
  readonly identity: string;
  readonly watcher: FSWatcher;
}

/**
 * Watches the files of an app and reports what was saved, once for a burst of saves: the files that
 * its code imports, in its folder or elsewhere, and new files of its functions, workflows, shards
 * and migrations; its page and what that imports; and its `.env`.
 *
 * @returns a function that stops watching
 */
export function watchApp(
  options: WatchOptions,
  onChange: (parts: ReadonlySet<AppPart>) => void,
): () => void {
  const watcher = new AppWatcher(options, onChange);
  return () => watcher.close();
}

class AppWatcher {
  readonly #options: WatchOptions;
  readonly #root: string;
  /** The first one is that of the functions. */
  readonly #folders: readonly string[];
  readonly #watchers: FSWatcher[];
  readonly #outside = new Map<string, OutsideFolder>();
  /** The folders outside of the app that do not exist, and from which it imports files. */
  #awaited: readonly string[] = [];
  readonly #stopFollowingPage: () => void;
  readonly #onChange: (parts: ReadonlySet<AppPart>) => void;
  readonly #parts = new Set<AppPart>();
  #graph: AppGraph;
  #timer: Timer | null = null;

  constructor(options: WatchOptions, onChange: (parts: ReadonlySet<AppPart>) => void) {
    this.#options = options;
    this.#onChange = onChange;
    this.#root = realpathSync(options.dir);
    this.#folders = codeFolders(options);
    this.#graph = appGraph(options);
    this.#watchers = [
      this.#watch(this.#root, true),
      ...this.#folders
        .filter((folder) => !isIn(this.#root, folder) && existsSync(folder))
        .map((folder) => this.#watch(folder, true)),
      ...foldersAbove(resolve(options.dir), options.envFiles ?? []).map((folder) =>
        onFile(folder, false, (file) => this.#saved(isEnvFile(file) ? "env" : undefined)),
      ),
    ];
    this.#stopFollowingPage = onPageImport(resolve(options.dir), () => this.#watchOutside());
    this.#watchOutside();
  }

  close(): void {
    this.#timer?.cancel();
    this.#stopFollowingPage();
    for (const watcher of this.#watchers) watcher.close();
    for (const { watcher } of this.#outside.values()) watcher.close();
  }

  #watch(folder: string, isRecursive: boolean): FSWatcher {
    return onFile(folder, isRecursive, (file) => this.#saved(this.#partOf(join(folder, file))));
  }

  #saved(part: AppPart | undefined): void {
    if (part === undefined) return;
    this.#parts.add(part);
    this.#timer?.cancel();
    this.#timer = (this.#options.platform ?? systemPlatform).after(SETTLE_MS, () => {
      const all = new Set(this.#parts);
      this.#parts.clear();
      this.#readGraph();
      this.#onChange(all);
    });
  }

  /** Folders may vanish at any moment; what is there then is reported when the app is loaded. */
  #readGraph(): void {
    try {
      this.#graph = appGraph(this.#options);
      this.#watchOutside();
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw error;
    }
  }

  /**
   * Watches the folders of the imported files outside of the app, and no others. Instead of a
   * folder that does not exist, for example while another branch is checked out, it watches the one
   * in which it will be created.
   */
  #watchOutside(): void {
    const { files, missing } = this.#graph;
    const folders = new Set(
      [...files, ...missing, ...this.#pageImports]
        .map((file) => dirname(file))
        .filter((folder) => !this.#isWatched(folder)),
    );
    this.#awaited = [...folders].filter((folder) => !existsSync(folder));
    const wanted = new Map<string, string>();
    for (const folder of folders) {
      const existing = existingFolder(folder);
      wanted.set(existing.path, existing.identity);
    }
    for (const [folder, { identity, watcher }] of this.#outside) {
      if (wanted.get(folder) === identity) continue;
      watcher.close();
      this.#outside.delete(folder);
    }
    for (const [folder, identity] of wanted)
      if (!this.#outside.has(folder))
        this.#outside.set(folder, { identity, watcher: this.#watch(folder, false) });
  }

  get #pageImports(): ReadonlySet<string> {
    return pageImports(resolve(this.#options.dir));
  }

  /** Whether a folder is watched together with all that is in it. */
  #isWatched(folder: string): boolean {
    return [this.#root, ...this.#folders.slice(0, 1)].some((one) => isIn(one, folder));
  }

  #partOf(path: string): AppPart | undefined {
    const name = basename(path);
    const parts = isIn(this.#root, path) ? relative(this.#root, path).split(sep) : [];
    if (parts.length > 0 && isEnvFile(name)) return "env";
    // The server writes them itself.
    if (parts.length === 1 && name.startsWith("pylon.")) return undefined;
    // They decide what imports lead to.
    if (parts.length === 1 && (name === "package.json" || name === "tsconfig.json")) return "app";
    if ((parts[0] === "web" || parts[0] === "public") && !isPrivate(parts)) return "web";
    const [functions = ""] = this.#folders;
    if (this.#folders.some((folder) => isEntryIn(folder, path)) || this.#isImported(path))
      return isIn(functions, path) ? "functions" : "app";
    return this.#pageImports.has(path) ? "web" : undefined;
  }

  #isImported(path: string): boolean {
    const { files, missing } = this.#graph;
    // An import without an extension finds `a.ts` and `a/index.ts`.
    return (
      files.has(path) ||
      missing.some((file) => path === file || isVariant(path, file)) ||
      this.#awaited.some((folder) => isIn(path, folder))
    );
  }
}

/** Watches a folder. When it is removed itself, the runtime reports no name. */
function onFile(folder: string, recursive: boolean, report: (file: string) => void): FSWatcher {
  return watch(folder, { recursive }, (_event, file: string | null | undefined) => {
    if (typeof file === "string") report(file);
  });
}

/** Returns a folder, or if it does not exist, the nearest one above it that does. */
function existingFolder(path: string): { readonly path: string; readonly identity: string } {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return existingFolder(dirname(path));
  // A disk uses the number of a removed folder again.
  return { path, identity: `${found.dev} ${found.ino} ${found.birthtimeMs}` };
}

function isVariant(path: string, missing: string): boolean {
  return path.startsWith(`${missing}.`) || path.startsWith(`${missing}${sep}index.`);
}

function isIn(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder + sep);
}

/**
 * Returns the folders above the app up to the one whose files are read: a file that is created in
 * one of them is read instead.
 */
function foldersAbove(dir: string, envFiles: readonly string[]): string[] {
  const last = envFiles.map((file) => dirname(file)).find((folder) => folder !== dir);
  const folders: string[] = [];
  for (let at = dir; last !== undefined && at !== last && dirname(at) !== at;) {
    at = dirname(at);
    folders.push(at);
  }
  return folders;
}

function isEnvFile(name: string): boolean {
  return name === ".env" || name === ".env.local";
}

/** Whether a file is in a folder that contains no code of the app. */
function isPrivate(parts: readonly string[]): boolean {
  return parts.some((part) => part.startsWith(".") || part === "node_modules");
}
