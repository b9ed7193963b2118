import { isManifest } from "./is-manifest.ts";

/**
 * Finds the manifest in what an app.ts printed, as apps of the public system do; undefined when
 * there is none.
 */
export function printedManifest(printed: readonly string[]): unknown {
  for (const text of [printed.join("\n"), ...printed]) {
    try {
      const value: unknown = JSON.parse(text);
      if (isManifest(value)) return value;
    } catch {
      continue;
    }
  }
  return undefined;
}
