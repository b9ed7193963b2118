import { readFileSync } from "node:fs";
import { dirname } from "node:path";

let transpiler: Bun.Transpiler | undefined;

/**
 * Returns the files that a module imports, directly or indirectly, and the module itself, each
 * after those that it imports. A file that does not parse or does not exist has no imports.
 *
 * @param isOwn whether to follow a file; others are omitted
 */
export function importGraph(entry: string, isOwn: (path: string) => boolean): readonly string[] {
  const seen = new Set<string>();
  const ordered: string[] = [];
  const visit = (path: string): void => {
    if (seen.has(path) || !isOwn(path)) return;
    seen.add(path);
    for (const imported of importsOf(path)) visit(imported);
    ordered.push(path);
  };
  visit(entry);
  return ordered;
}

/** Returns what is imported before the module runs, by resolved path. */
function importsOf(path: string): string[] {
  // Created at the first use: in production most servers start without it.
  transpiler ??= new Bun.Transpiler({ loader: "tsx" });
  try {
    return transpiler
      .scanImports(readFileSync(path))
      .filter(({ kind }) => kind !== "dynamic-import")
      .flatMap((imported) => resolved(imported.path, dirname(path)));
  } catch {
    return [];
  }
}

function resolved(specifier: string, from: string): string[] {
  try {
    return [Bun.resolveSync(specifier, from)];
  } catch {
    return [];
  }
}
