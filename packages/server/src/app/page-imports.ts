/** What one page imports from outside of `web/`. */
interface Imports {
  readonly files: Set<string>;
  readonly listeners: Set<() => void>;
}

/** By the app's folder. */
const byRoot = new Map<string, Imports>();

/** Returns the files outside of `web/` that the page of an app imported when it was last built. */
export function pageImports(root: string): ReadonlySet<string> {
  return importsOf(root).files;
}

/** Begins a build, whose imports replace those of the previous one. */
export function forgetPageImports(root: string): void {
  importsOf(root).files.clear();
}

/** Records a file that the page imports. */
export function addPageImport(root: string, path: string): void {
  const { files, listeners } = importsOf(root);
  if (files.has(path)) return;
  files.add(path);
  for (const listener of listeners) listener();
}

/**
 * Calls the listener for each file that is recorded.
 *
 * @returns a function that stops it
 */
export function onPageImport(root: string, listener: () => void): () => void {
  const { listeners } = importsOf(root);
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

function importsOf(root: string): Imports {
  const imports = byRoot.get(root) ?? { files: new Set(), listeners: new Set() };
  byRoot.set(root, imports);
  return imports;
}
