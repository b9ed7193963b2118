import type { CompiledApp } from "./compile-app.ts";
import { decodedPath, isWellKnown } from "./public-files.ts";

/**
 * Whether it is one of the server's own paths: a misspelt route is an error, and not a path inside
 * the page.
 */
export function isServers(path: string, { manifest }: CompiledApp): boolean {
  const roots = ["/api", "/studio", ...(manifest.auth?.pages === false ? [] : ["/auth"])];
  return isBelow(path, roots);
}

function isBelow(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => path === root || path.startsWith(`${root}/`));
}

/** Whether the method only reads. */
export function isRead({ method }: Request): boolean {
  return method === "GET" || method === "HEAD";
}

/** Whether the path is that of a file, and not of a page. */
export function isFile(path: string): boolean {
  return isWellKnown(path) || /\.[a-z0-9]+$/i.test(decodedPath(path));
}
