/** Returns a value as JSON with sorted object keys, so that equal values have equal texts. */
export function canonicalJson(value: unknown): string {
  return (
    JSON.stringify(value, (_key, part: unknown) =>
      typeof part === "object" && part !== null && !Array.isArray(part)
        ? Object.fromEntries(
            Object.entries(part).toSorted(([one], [other]) => (one < other ? -1 : 1)),
          )
        : part,
    ) ?? "null"
  );
}
