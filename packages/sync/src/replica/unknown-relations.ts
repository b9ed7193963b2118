import { FALSE, type Relation } from "@pylonsync/query";

/** A placeholder without rows for relations that the server has not described yet. */
export const UNKNOWN_RELATION: Relation = {
  entity: { name: "", fields: new Map() },
  key: "id",
  field: "id",
  readable: FALSE,
  relations: unknownRelations,
};

/** Before the server sends the schema, an object without operators is a relation's filter. */
export function unknownRelations(_name: string, _at: string, asked: unknown): Relation | undefined {
  const isFilter = ([key, value]: [string, unknown]): boolean =>
    !key.startsWith("$") || key === "$and" || key === "$or" || (key === "$not" && isObject(value));
  return isObject(asked) && Object.entries(asked).every(isFilter) ? UNKNOWN_RELATION : undefined;
}

function isObject(value: unknown): value is object {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date)
  );
}
