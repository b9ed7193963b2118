import { existsSync, realpathSync } from "node:fs";
import { resolve, sep } from "node:path";
import * as functions from "@pylonsync/functions";
import * as functionPlugins from "@pylonsync/functions/plugins";
import * as simulation from "@pylonsync/functions/simulation";
import * as sdk from "@pylonsync/sdk";
import * as sdkPlugins from "@pylonsync/sdk/plugins";
import * as workflows from "@pylonsync/workflows";
import { systemPlatform } from "../platform.ts";
import { withTimeout } from "../util/time-limit.ts";
import { appGraph, isAppFile, type AppEntries } from "./app-graph.ts";
import { importGraph } from "./import-graph.ts";

/** The exports of an app's entry file. */
export interface AppModule {
  readonly exports: Readonly<Record<string, unknown>>;
  /** What it printed with console.log while it was loaded. */
  readonly printed: readonly string[];
}

/** For a module with a top-level `await`, which may connect to a service. */
const LOAD_TIMEOUT_MS = 30_000;

/** The packages that an app folder may import without installing them: the server's own copies. */
const OWN_COPIES: ReadonlyMap<string, object> = new Map<string, object>([
  ["@pylonsync/sdk", sdk],
  ["@pylonsync/sdk/plugins", sdkPlugins],
  ["@pylonsync/functions", functions],
  ["@pylonsync/functions/plugins", functionPlugins],
  ["@pylonsync/functions/simulation", simulation],
  ["@pylonsync/workflows", workflows],
]);

/** Packages that are available to the whole process since an app needed them. */
const offered = new Set<string>();

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

/** An app that installed a package uses its own copy. */
function offerOwnCopies(root: string): void {
  for (const [name, exports] of OWN_COPIES) {
    if (offered.has(name) || isInstalled(name, root)) continue;
    offered.add(name);
    Bun.plugin({
      name: `pylon-own-copy-of-${name}`,
      setup: (build) =>
        void build.module(name, () => ({ exports: { ...exports }, loader: "object" })),
    });
  }
}

function isInstalled(name: string, root: string): boolean {
  try {
    Bun.resolveSync(name, root);
    return true;
  } catch {
    return false;
  }
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
