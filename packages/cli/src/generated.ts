import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Manifest } from "@pylonsync/sdk";
import type { LoadedApp } from "@pylonsync/server";
import { renderClient } from "./codegen/render-client.ts";

/**
 * Writes `pylon.manifest.json` and `pylon.client.ts` beside the entry. A file that is right already
 * is left alone.
 */
export function writeGenerated(loaded: LoadedApp, manifest: Manifest, entry: string): void {
  writeIfChanged(join(loaded.dir, "pylon.manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  const functions = [...loaded.functions].map(([name, { type, internal }]) => ({
    name,
    type,
    internal: internal === true,
  }));
  writeIfChanged(
    join(loaded.dir, "pylon.client.ts"),
    renderClient(manifest, functions, { entry, exportsApp: loaded.manifestModule !== undefined }),
  );
}

/** Writes a file, unless it has this text already. */
export function writeIfChanged(file: string, content: string): void {
  if (existsSync(file) && readFileSync(file, "utf8") === content) return;
  writeFileSync(file, content);
}
