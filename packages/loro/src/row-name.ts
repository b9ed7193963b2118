/** Returns a text that identifies a row; names of entities contain no slash. */
export function rowName(entity: string, rowId: string): string {
  return `${entity}/${rowId}`;
}
