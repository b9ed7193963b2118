import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import type { FnDefinition, ShardDefinition } from "@pylonsync/functions";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";
import type { Definitions } from "../workflows/definitions.ts";
import { isRecord } from "../util/is-record.ts";
import { forgetApp, importAppFile } from "./import-app.ts";
import { failedImport, isCodeFile } from "./code-file.ts";
import { isManifest } from "./is-manifest.ts";
import { printedManifest } from "./printed-manifest.ts";
import { loadShards } from "./load-shards.ts";
import { loadWorkflows } from "./load-workflows.ts";
import { WebBundle } from "./web-bundle.ts";

/** An app folder, as it was found: nothing in it is checked yet. */
export interface LoadedApp {
  readonly dir: string;
  /** JSON; null when there is none, and `diagnostics` say why. */
  readonly manifest: unknown;
  /** What app.ts exported, which carries the plugins' hooks. */
  readonly manifestModule: unknown;
  readonly functions: ReadonlyMap<string, FnDefinition>;
  readonly workflows: Definitions;
  readonly shards: ReadonlyMap<string, ShardDefinition>;
  /** The app's web page; null when it has no `web/index.html`. */
  readonly web: WebBundle | null;
  readonly diagnostics: readonly Diagnostic[];
}

/** How an app is loaded. */
export interface LoadOptions {
  /** The file that declares the app, from the folder; default `app.ts`. */
  readonly entry?: string;
  /** Default `functions`. */
  readonly functionsDir?: string;
  readonly dev: boolean;
}

/** There is no app where one was looked for. */
export class AppNotFoundError extends Error {
  override readonly name = "AppNotFoundError";
}

/**
 * Loads an app folder: `app.ts`, `functions/`, `workflows/`, `shards/`, `web/`. What was loaded
 * before is loaded again.
 *
 * @throws AppNotFoundError when the entry is not there
 */
export async function loadApp(dir: string, options: LoadOptions): Promise<LoadedApp> {
  const root = resolve(dir);
  const entry = join(root, options.entry ?? "app.ts");
  if (!existsSync(entry))
    throw new AppNotFoundError(
      `There is no ${basename(entry)} in ${dir}: make an app with \`pylon init NAME\`, or name ` +
        "its folder.",
    );
  forgetApp(root);
  const diagnostics: Diagnostic[] = [];
  const { manifest, manifestModule } = await loadManifest(entry, root, diagnostics);
  const functions = await loadFunctions(
    resolve(root, options.functionsDir ?? "functions"),
    root,
    diagnostics,
  );
  return {
    dir: root,
    manifest,
    manifestModule,
    functions,
    workflows: await loadWorkflows(root, diagnostics),
    shards: await loadShards(root, diagnostics),
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
        : "exports by default something that is not a manifest";
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

/** The flat files of the folder; a name's file is what it is called by. */
async function loadFunctions(
  dir: string,
  root: string,
  diagnostics: Diagnostic[],
): Promise<Map<string, FnDefinition>> {
  const functions = new Map<string, FnDefinition>();
  if (!existsSync(dir)) return functions;
  const files = (await readdir(dir)).filter(isCodeFile).toSorted();
  for (const file of files) {
    const name = file.replace(/\.(ts|js)$/, "");
    const path = relative(root, join(dir, file));
    if (functions.has(name)) {
      diagnostics.push(
        errorAt(
          "FUNCTION_DUPLICATE",
          `Two files name the function "${name}".`,
          path,
          "Delete one of them.",
        ),
      );
      continue;
    }
    try {
      const { exports } = await importAppFile(join(dir, file), root);
      if (isDefinition(exports["default"])) functions.set(name, exports["default"]);
      else
        diagnostics.push(
          errorAt(
            "FUNCTION_NO_EXPORT",
            `${path} exports no function.`,
            path,
            "End it with `export default query({...})`, or mutation or action; start the name " +
              "of a helper with _.",
          ),
        );
    } catch (error) {
      diagnostics.push(failedImport("FUNCTION_FAILED", join(dir, file), root, error));
    }
  }
  return functions;
}

function isDefinition(value: unknown): value is FnDefinition {
  if (!isRecord(value)) return false;
  const { type, handler } = value;
  return (
    (type === "query" || type === "mutation" || type === "action") && typeof handler === "function"
  );
}

/**
 * What is in the manifest beside JSON (the hooks) is not the manifest's. A function becomes null:
 * JSON would drop its key too, and a key that is not known is to be told.
 */
function toJson(value: unknown): unknown {
  const text = JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "function" ? null : part,
  );
  return JSON.parse(text ?? "null");
}
