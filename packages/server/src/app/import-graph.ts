import { readFileSync } from "node:fs";
import { dirname } from "node:path";

const transpiler = new Bun.Transpiler({ loader: "tsx" });

/**
 * The files that a module imports, directly or not, and itself: each after those that it imports.
 * What does not parse or is not there has no imports.
 *
 * @param isOwn the files to follow; others are left out
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

/** What is imported before the module runs, by resolved path. */
function importsOf(path: string): string[] {
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
