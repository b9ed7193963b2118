import { existsSync, realpathSync } from "node:fs";
import { resolve, sep } from "node:path";
import { systemPlatform } from "../platform.ts";
import { withTimeout } from "../util/time-limit.ts";
import { appGraph, isAppFile, type AppEntries } from "./app-graph.ts";
import { importGraph } from "./import-graph.ts";
import { offerOwnCopies } from "./own-copies.ts";

/** The exports of an app's entry file. */
export interface AppModule {
  readonly exports: Readonly<Record<string, unknown>>;
  /** What it printed with console.log while it was loaded. */
  readonly printed: readonly string[];
}

/** For a module with a top-level `await`, which may connect to a service. */
const LOAD_TIMEOUT_MS = 30_000;

/**
 * Imports a file of an app.
 *
 * @param root the app's folder
 * @throws what the module throws
 */
export async function importAppFile(file: string, root: string): Promise<AppModule> {
  offerOwnCopies(root);
  const printed: string[] = [];
  const print = console.log;
  console.log = (...values: unknown[]) => {
    printed.push(
      values.map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join(" "),
    );
  };
  try {
    const exports: Record<string, unknown> = await inTime(import(file));
    return { exports, printed };
  } catch (error) {
    await inTime(releaseFailed(file));
    throw error;
  } finally {
    console.log = print;
  }
}

/** @throws Error when a top-level `await` of the module takes too long */
function inTime<T>(loading: Promise<T>): Promise<T> {
  const isLate = (): Error =>
    new Error(
      `A top-level \`await\` did not finish within ${LOAD_TIMEOUT_MS / 1000} s. ` +
        "Bun can't load the file again in this process: fix it, then start Pylon again.",
    );
  return withTimeout(systemPlatform, () => loading, LOAD_TIMEOUT_MS, isLate);
}

/** Files of apps that were part of a failed import: `require.cache` does not list all of them. */
const failed = new Set<string>();

/**
 * Removes the modules of an app from the cache, so that the next import reads the files again: all
 * in its folders, and what it imports from outside of them. Installed packages stay cached.
 */
export function forgetApp(entries: AppEntries): void {
  const { dir, functionsDir = "functions" } = entries;
  const isOwn = ownFilesOf(dir, resolve(dir, functionsDir));
  // The first load of an app has nothing to forget.
  const imported = loaded.has(dir) ? appGraph(entries).files : new Set<string>();
  loaded.add(dir);
  for (const path of [...Object.keys(require.cache), ...failed]) {
    if (!isOwn(path) && !imported.has(path)) continue;
    delete require.cache[path];
    failed.delete(path);
  }
}

/** The folders of apps that were loaded. */
const loaded = new Set<string>();

/**
 * Makes it possible to remove every module of a failed import from the cache. Bun keeps a module
 * that was read but never ran, because a module that imports it could not be linked ("Export named
 * x not found"), and `delete require.cache[path]` has no effect on it until it has run.
 */
async function releaseFailed(file: string): Promise<void> {
  for (const path of importGraph(file, isAppFile)) {
    failed.add(path);
    if (path === file || path in require.cache) continue;
    // Its error has already been reported, or follows from one that has.
    await import(path).catch(() => undefined);
  }
}

function ownFilesOf(...folders: readonly string[]): (path: string) => boolean {
  const inside = folders.filter(existsSync).map((folder) => realpathSync(folder) + sep);
  return (path) =>
    inside.some((folder) => path.startsWith(folder)) && !path.includes(`${sep}node_modules${sep}`);
}
