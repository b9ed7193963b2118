/** A name of a table, a column or an index as both databases take it, whatever is in it. */
export function quote(name: string): string {
  return name.includes('"') ? `"${name.replaceAll('"', '""')}"` : `"${name}"`;
}
