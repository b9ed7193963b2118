import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { FnDefinition, HttpDefinition, ShardDefinition } from "@pylonsync/functions";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";
import type { DataMigrations } from "../data/data-migrations.ts";
import type { Definitions } from "../workflows/definitions.ts";
import { forgetApp, importAppFile } from "./import-app.ts";
import { failedImport } from "./code-file.ts";
import { isManifest } from "./is-manifest.ts";
import { loadDataMigrations } from "./load-data-migrations.ts";
import { loadFunctions } from "./load-functions.ts";
import { printedManifest } from "./printed-manifest.ts";
import { loadShards } from "./load-shards.ts";
import { loadWorkflows } from "./load-workflows.ts";
import { WebBundle } from "./web-bundle.ts";

/** A loaded app folder that is not checked yet. */
export interface LoadedApp {
  readonly dir: string;
  /** JSON; null if there is none, and `diagnostics` say why. */
  readonly manifest: unknown;
  /** The exports of app.ts, which contain the plugins' hooks. */
  readonly manifestModule: unknown;
  readonly functions: ReadonlyMap<string, FnDefinition>;
  /**
   * The folder of the functions' files, absolute; absent if they do not come from files. Isolated
   * functions are loaded from there.
   */
  readonly functionsDir?: string | undefined;
  readonly http?: ReadonlyMap<string, HttpDefinition>;
  /** The path of each function's file, relative to `dir`, with `/`. */
  readonly functionFiles?: ReadonlyMap<string, string>;
  readonly workflows: Definitions;
  /** Absent if it has none. */
  readonly dataMigrations?: DataMigrations;
  readonly shards: ReadonlyMap<string, ShardDefinition>;
  /** The file of each shard; without it shards are not isolated. */
  readonly shardFiles?: ReadonlyMap<string, string>;
  /** The app's web page and its public files; null when it has neither. */
  readonly web: WebBundle | null;
  readonly diagnostics: readonly Diagnostic[];
}

/** The options of loading an app. */
export interface LoadOptions {
  /** The file that declares the app, relative to the folder; default `app.ts`. */
  readonly entry?: string;
  /** Default `functions`. */
  readonly functionsDir?: string;
  readonly dev: boolean;
}

/** The folder does not contain an app. */
export class AppNotFoundError extends Error {
  override readonly name = "AppNotFoundError";
}

/**
 * Loads an app folder: `app.ts`, `functions/`, `workflows/`, `migrations/`, `shards/`, `web/`.
 * Files that were loaded before are loaded again.
 *
 * @throws AppNotFoundError when the entry file does not exist
 */
export async function loadApp(dir: string, options: LoadOptions): Promise<LoadedApp> {
  const root = resolve(dir);
  const entry = join(root, options.entry ?? "app.ts");
  if (!existsSync(entry))
    throw new AppNotFoundError(
      `There is no ${basename(entry)} in ${dir}: create an app with \`pylon init NAME\`, or name ` +
        "its folder.",
    );
  const functionsDir = resolve(root, options.functionsDir ?? "functions");
  forgetApp({ dir: root, entry: options.entry, functionsDir });
  const diagnostics: Diagnostic[] = [];
  const { manifest, manifestModule } = await loadManifest(entry, root, diagnostics);
  const loaded = await loadFunctions(functionsDir, root, diagnostics);
  return {
    dir: root,
    manifest,
    manifestModule,
    functions: loaded.functions,
    functionsDir,
    http: loaded.http,
    functionFiles: loaded.files,
    workflows: await loadWorkflows(root, diagnostics),
    dataMigrations: await loadDataMigrations(root, diagnostics),
    ...(await loadShards(root, diagnostics)),
    web: WebBundle.of(root, { dev: options.dev }),
    diagnostics,
  };
}

async function loadManifest(
  entry: string,
  root: string,
  diagnostics: Diagnostic[],
): Promise<{ manifest: unknown; manifestModule: unknown }> {
  try {
    const { exports, printed } = await importAppFile(entry, root);
    const exported = exports["default"];
    if (isManifest(exported)) return { manifest: toJson(exported), manifestModule: exported };
    const manifest = exported === undefined ? printedManifest(printed) : undefined;
    if (manifest !== undefined) return { manifest, manifestModule: undefined };
    const instead =
      exported === undefined
        ? "neither exports a manifest nor prints one"
        : "has a default export that is not a manifest";
    diagnostics.push(
      errorAt(
        "APP_NO_MANIFEST",
        `${basename(entry)} ${instead}.`,
        basename(entry),
        "End it with `export default buildManifest({...})`.",
      ),
    );
  } catch (error) {
    diagnostics.push(failedImport("APP_FAILED", entry, root, error));
  }
  return { manifest: null, manifestModule: undefined };
}

/**
 * Removes what is not JSON (the hooks), because it is not part of the manifest. A function becomes
 * null: JSON would drop its key as well, and an unknown key must be reported.
 */
function toJson(value: unknown): unknown {
  const text = JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "function" ? null : part,
  );
  return JSON.parse(text ?? "null");
}
