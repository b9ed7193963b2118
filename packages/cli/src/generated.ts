import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Manifest } from "@pylonsync/sdk";
import { functionNames, type LoadedApp } from "@pylonsync/server";
import { renderClient, withReferences } from "./codegen/render-client.ts";

/**
 * Writes `pylon.manifest.json` and `pylon.client.ts` beside the entry. An up-to-date file is not
 * written.
 */
export function writeGenerated(loaded: LoadedApp, manifest: Manifest, entry: string): void {
  writeIfChanged(join(loaded.dir, "pylon.manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  const functions = [...loaded.functions].map(([name, { type, internal }]) => ({
    name,
    file: loaded.functionFiles?.get(name) ?? `functions/${name}.ts`,
    type,
    internal: internal === true,
  }));
  writeIfChanged(
    join(loaded.dir, "pylon.client.ts"),
    renderClient(manifest, functions, { entry, exportsApp: loaded.manifestModule !== undefined }),
  );
}

/**
 * Makes the references of all functions importable before the functions are loaded, because these
 * may use them: missing ones are added to `pylon.client.ts`. `writeGenerated` separates the
 * internal ones later.
 */
export async function writeReferences(dir: string, functionsDir = "functions"): Promise<void> {
  const file = join(dir, "pylon.client.ts");
  const names = await functionNames(resolve(dir, functionsDir));
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const whole = withReferences(text, names);
  if (whole !== text) writeFileSync(file, whole);
}

/** Writes a file, unless it has this text already. */
export function writeIfChanged(file: string, content: string): void {
  if (existsSync(file) && readFileSync(file, "utf8") === content) return;
  writeFileSync(file, content);
}
