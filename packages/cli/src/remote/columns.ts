/** Rows below their headings, each column as wide as its widest value. */
export function columnsOf(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  const all = [headings, ...rows];
  const widths = headings.map((_heading, at) =>
    Math.max(...all.map((row) => (row[at] ?? "").length)),
  );
  return all.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** A field of a response as a text; empty if it is missing. */
export function fieldOf(row: Readonly<Record<string, unknown>>, name: string): string {
  const value = row[name];
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
