import { QueryError } from "./errors.ts";
import type { EntityShape } from "./expr.ts";
import type { FieldKind } from "./field-kinds.ts";
import { nearest } from "./nearest.ts";

/** The kind of a column. @throws QueryError INVALID_COLUMN */
export function columnKind(entity: EntityShape, field: string, at: string): FieldKind {
  const kind = entity.fields.get(field);
  if (kind !== undefined) return kind;
  const meant = nearest(field, entity.fields.keys());
  throw new QueryError("INVALID_COLUMN", `${entity.name} has no field "${field}".`, {
    field: at,
    hint:
      entity.hintFor?.(field) ??
      (meant === undefined
        ? `Its fields: ${[...entity.fields.keys()].join(", ")}.`
        : `Did you mean ${meant}?`),
  });
}
