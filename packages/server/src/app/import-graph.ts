import { readFileSync } from "node:fs";
import { dirname, extname, resolve } from "node:path";

/** How imports are followed. */
export interface ImportGraphOptions {
  /** Whether to follow `import()` of a fixed path too; default false. */
  readonly hasDynamic?: boolean;
  /** Called for an import by a relative path that leads to no file, with the absolute path. */
  readonly onMissing?: (path: string) => void;
}

const LOADERS = { ".ts": "ts", ".mts": "ts", ".cts": "ts", ".tsx": "tsx", ".jsx": "jsx" } as const;
/** Other files that contain imports. */
const SCRIPT = /^\.[cm]?js$/;

/** A `<T>` begins a type in .ts and an element in .tsx, so each kind needs its own. */
const transpilers = new Map<string, Bun.Transpiler>();

/**
 * Returns the files that a module imports, directly or indirectly, and the module itself, each
 * after those that it imports. A file that does not parse or does not exist has no imports.
 *
 * @param isOwn whether to follow a file; others are omitted
 */
export function importGraph(
  entry: string,
  isOwn: (path: string) => boolean,
  options: ImportGraphOptions = {},
): readonly string[] {
  const seen = new Set<string>();
  const ordered: string[] = [];
  const visit = (path: string): void => {
    if (seen.has(path) || !isOwn(path)) return;
    seen.add(path);
    for (const imported of importsOf(path, options)) visit(imported);
    ordered.push(path);
  };
  visit(entry);
  return ordered;
}

/** Returns the imported files, by resolved path. */
function importsOf(path: string, { hasDynamic = false, onMissing }: ImportGraphOptions): string[] {
  const transpiler = transpilerOf(extname(path));
  if (transpiler === null) return [];
  let found: Bun.Import[];
  try {
    found = transpiler.scanImports(readFileSync(path));
  } catch {
    return [];
  }
  const from = dirname(path);
  return found
    .filter(({ kind }) => hasDynamic || kind !== "dynamic-import")
    .flatMap((imported) => {
      const file = resolved(imported.path, from);
      if (file !== null) return [file];
      if (imported.path.startsWith(".")) onMissing?.(resolve(from, imported.path));
      return [];
    });
}

/** @returns null for a file without imports, such as a text */
function transpilerOf(extension: string): Bun.Transpiler | null {
  const loader = Object.entries(LOADERS).find(([own]) => own === extension)?.[1];
  if (loader === undefined && !SCRIPT.test(extension)) return null;
  const kind = loader ?? "jsx";
  // Created at the first use: in production most servers start without it.
  const transpiler = transpilers.get(kind) ?? new Bun.Transpiler({ loader: kind });
  transpilers.set(kind, transpiler);
  return transpiler;
}

function resolved(specifier: string, from: string): string | null {
  try {
    return Bun.resolveSync(specifier, from);
  } catch {
    return null;
  }
}
