/** The quoted name of a table, a column or an index for both databases, for any name. */
export function quote(name: string): string {
  return name.includes('"') ? `"${name.replaceAll('"', '""')}"` : `"${name}"`;
}
