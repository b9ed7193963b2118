/**
 * An array field as it is written among the kinds of an entity's fields in a
 * `ReplicaSchemaMessage`. A client that does not know the form takes it for a kind of field that it
 * does not know.
 *
 * @param items the kind of the items; undefined if it is not known
 */
export function encodeArray(items: string | undefined): string {
  return items === undefined ? "array" : `array:${items}`;
}
