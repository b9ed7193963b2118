import { existsSync, readdirSync } from "node:fs";
import { join, relative, sep } from "node:path";
import {
  checkDeclaredErrors,
  checkFunctionOptions,
  checkHttpOptions,
  type FnDefinition,
  type HttpDefinition,
} from "@pylonsync/functions";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";
import { isRecord } from "../util/is-record.ts";
import { failedImport, isCodeFile } from "./code-file.ts";
import { importAppFile } from "./import-app.ts";

/** The maximum depth of the folders of functions. */
const MAX_FOLDERS = 8;

/** The definitions in `functions/`. */
export interface LoadedFunctions {
  readonly functions: ReadonlyMap<string, FnDefinition>;
  readonly http: ReadonlyMap<string, HttpDefinition>;
  /** Each file's path, relative to the app's folder, with `/`: `functions/messages/send.ts`. */
  readonly files: ReadonlyMap<string, string>;
}

/**
 * Loads the functions of the folder and its subfolders. A function's name is the name of its file
 * after the names of its folders: `functions/messages/send.ts` is `messages.send`.
 */
export async function loadFunctions(
  dir: string,
  root: string,
  diagnostics: Diagnostic[],
): Promise<LoadedFunctions> {
  const functions = new Map<string, FnDefinition>();
  const http = new Map<string, HttpDefinition>();
  const files = new Map<string, string>();
  if (!existsSync(dir)) return { functions, http, files };
  for (const file of await codeFiles(dir, [])) {
    const name = nameOf(file);
    const path = relative(root, join(dir, file)).replaceAll(sep, "/");
    const other = files.get(name);
    if (other !== undefined) {
      diagnostics.push(duplicate(name, path, other));
      continue;
    }
    try {
      const { exports } = await importAppFile(join(dir, file), root);
      const definition = exports["default"];
      if (isDefinition(definition)) {
        checkFunctionOptions(definition);
        checkDeclaredErrors(definition.errors);
        functions.set(name, definition);
        files.set(name, path);
      } else if (isHttp(definition)) {
        checkHttpOptions(definition);
        http.set(name, definition);
        files.set(name, path);
      } else diagnostics.push(noFunction(path));
    } catch (error) {
      diagnostics.push(failedImport("FUNCTION_FAILED", join(dir, file), root, error));
    }
  }
  return { functions, http, files };
}

/** Returns the names of the files that may be functions; none of them is loaded. */
export async function functionNames(dir: string): Promise<string[]> {
  if (!existsSync(dir)) return [];
  const files = await codeFiles(dir, []);
  const isFunction = await Promise.all(files.map((file) => hasDefaultExport(join(dir, file))));
  return files.filter((_file, index) => isFunction[index]).map(nameOf);
}

function nameOf(file: string): string {
  return file.replace(/\.(ts|js)$/, "").replaceAll("/", ".");
}

/** Returns the files that may be functions, relative to the top folder, sorted by name. */
async function codeFiles(dir: string, folders: readonly string[]): Promise<string[]> {
  const entries = readdirSync(join(dir, ...folders), { withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name } = entry;
    const path = [...folders, name];
    if (isCodeFile(name) && !entry.isDirectory()) {
      if (folders.length === 0 || (await hasDefaultExport(join(dir, ...path))))
        found.push(path.join("/"));
    } else if (entry.isDirectory() && isFunctionFolder(name) && path.length <= MAX_FOLDERS)
      found.push(...(await codeFiles(dir, path)));
  }
  return found;
}

function isFunctionFolder(name: string): boolean {
  return !name.startsWith("_") && !name.startsWith(".") && name !== "node_modules";
}

/** Folders of older apps contain helpers, which usually have no default export. */
async function hasDefaultExport(file: string): Promise<boolean> {
  const text = await Bun.file(file).text();
  return /\bexport\s+default\b|\bas\s+default\b/.test(text);
}

function duplicate(name: string, path: string, other: string): Diagnostic {
  return errorAt(
    "FUNCTION_DUPLICATE",
    `Two files define the function "${name}".`,
    path,
    `Delete or rename one of them; the other file is ${other}.`,
  );
}

/** It may be a helper of an older app, so this is only a warning. */
function noFunction(path: string): Diagnostic {
  const error = errorAt(
    "FUNCTION_NO_EXPORT",
    `${path} exports no function.`,
    path,
    "End it with `export default query({...})`, or mutation, action or http; start the name of " +
      "a helper with _.",
  );
  return { ...error, severity: "warning" };
}

function isDefinition(value: unknown): value is FnDefinition {
  if (!isRecord(value)) return false;
  const { type, handler } = value;
  return (
    (type === "query" || type === "mutation" || type === "action") && typeof handler === "function"
  );
}

function isHttp(value: unknown): value is HttpDefinition {
  return isRecord(value) && value["type"] === "http" && typeof value["handler"] === "function";
}
