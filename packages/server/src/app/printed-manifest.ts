/** The manifest among what an app.ts printed, as apps of the public system do; undefined when there is none. */
export function printedManifest(printed: readonly string[]): unknown {
  for (const text of [printed.join("\n"), ...printed]) {
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === "object" && value !== null && "manifest_version" in value) return value;
    } catch {
      continue;
    }
  }
  return undefined;
}
