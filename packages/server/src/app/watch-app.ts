import { watch } from "node:fs";
import { basename, sep } from "node:path";
import { systemPlatform, type Platform, type Timer } from "../platform.ts";

const SETTLE_MS = 25;
/** The files that app.ts and functions may import: code, data and texts. */
const IMPORTABLE = /\.([cm]?[jt]sx?|jsonc?|toml|ya?ml|txt|md|sql|html)$/;

/** The part of an app that was saved. */
export type AppPart = "app" | "functions" | "web" | "env";

/**
 * Watches an app folder and reports what was saved, once for a burst of saves.
 *
 * @returns a function that stops watching
 */
export function watchApp(
  dir: string,
  functionsDir: string,
  onChange: (parts: ReadonlySet<AppPart>) => void,
  platform: Pick<Platform, "after"> = systemPlatform,
): () => void {
  const parts = new Set<AppPart>();
  let timer: Timer | null = null;
  const watcher = watch(dir, { recursive: true }, (_event, file) => {
    const part = file === null ? undefined : partOf(file, functionsDir);
    if (part === undefined) return;
    parts.add(part);
    timer?.cancel();
    timer = platform.after(SETTLE_MS, () => {
      const saved = new Set(parts);
      parts.clear();
      onChange(saved);
    });
  });
  return () => {
    timer?.cancel();
    watcher.close();
  };
}

function partOf(file: string, functionsDir: string): AppPart | undefined {
  const parts = file.split(sep);
  const name = basename(file);
  if (name === ".env" || name === ".env.local") return "env";
  if (
    parts.some((part) => part.startsWith(".") || part === "node_modules") ||
    name.startsWith("pylon.")
  )
    return undefined;
  if (parts[0] === "web" || parts[0] === "public") return "web";
  if (!IMPORTABLE.test(name)) return undefined;
  return parts[0] === functionsDir ? "functions" : "app";
}
