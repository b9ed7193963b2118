const MARK = "[]";

/**
 * Returns the key under which a `ReplicaSchemaMessage` has the kind of an array's items:
 * `{"tags": "array", "tags[]": "string"}`. A client that does not know this key takes it for one
 * more field, of a name that no field has.
 */
export function itemsKey(field: string): string {
  return field + MARK;
}

/** Returns the array field whose items a key of an entity's fields is about; null for a field. */
export function arrayOfItems(key: string): string | null {
  return key.endsWith(MARK) ? key.slice(0, -MARK.length) : null;
}
