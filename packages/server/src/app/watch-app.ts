import { existsSync, watch } from "node:fs";
import { basename, dirname, resolve, sep } from "node:path";
import { systemPlatform, type Platform, type Timer } from "../platform.ts";

const SETTLE_MS = 25;
/** The files that app.ts and functions may import: code, data and texts. */
const IMPORTABLE = /\.([cm]?[jt]sx?|jsonc?|toml|ya?ml|txt|md|sql|html)$/;

/** The part of an app that was saved. */
export type AppPart = "app" | "functions" | "web" | "env";

/** What is watched besides the app's folder. */
export interface WatchOptions {
  /** The files with environment variables that were read; they may be in a folder above the app. */
  readonly envFiles?: readonly string[];
  readonly platform?: Pick<Platform, "after">;
}

/**
 * Watches an app folder and reports what was saved, once for a burst of saves.
 *
 * @returns a function that stops watching
 */
export function watchApp(
  dir: string,
  functionsDir: string,
  onChange: (parts: ReadonlySet<AppPart>) => void,
  { envFiles = [], platform = systemPlatform }: WatchOptions = {},
): () => void {
  const parts = new Set<AppPart>();
  let timer: Timer | null = null;
  const saved = (part: AppPart | undefined): void => {
    if (part === undefined) return;
    parts.add(part);
    timer?.cancel();
    timer = platform.after(SETTLE_MS, () => {
      const all = new Set(parts);
      parts.clear();
      onChange(all);
    });
  };
  const watchers = [
    watch(dir, { recursive: true }, (_event, file) => {
      saved(file === null ? undefined : partOf(file, functionsDir));
    }),
    ...outerFolders(resolve(dir), functionsDir).map((folder) =>
      watch(folder, { recursive: true }, (_event, file) => {
        saved(file !== null && isImportable(file) ? "functions" : undefined);
      }),
    ),
    ...foldersAbove(resolve(dir), envFiles).map((folder) =>
      watch(folder, (_event, file) => saved(file !== null && isEnvFile(file) ? "env" : undefined)),
    ),
  ];
  return () => {
    timer?.cancel();
    for (const watcher of watchers) watcher.close();
  };
}

/** Returns the folder of the functions if it is not in the app's folder. */
function outerFolders(dir: string, functionsDir: string): string[] {
  const folder = resolve(dir, functionsDir);
  return folder.startsWith(`${dir}${sep}`) || !existsSync(folder) ? [] : [folder];
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

function partOf(file: string, functionsDir: string): AppPart | undefined {
  const parts = file.split(sep);
  const name = basename(file);
  if (isEnvFile(name)) return "env";
  if (isPrivate(parts) || name.startsWith("pylon.")) return undefined;
  if (parts[0] === "web" || parts[0] === "public") return "web";
  if (!IMPORTABLE.test(name)) return undefined;
  return parts[0] === functionsDir ? "functions" : "app";
}

function isImportable(file: string): boolean {
  return IMPORTABLE.test(file) && !isPrivate(file.split(sep));
}

/** Whether a file is in a folder that contains no code of the app. */
function isPrivate(parts: readonly string[]): boolean {
  return parts.some((part) => part.startsWith(".") || part === "node_modules");
}
