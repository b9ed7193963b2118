import type { LoadedApp } from "@pylonsync/server";

/** The number of functions in an app's files: those with a name, and HTTP functions. */
export function countFunctions({ functions, http }: LoadedApp): number {
  return functions.size + (http?.size ?? 0);
}
