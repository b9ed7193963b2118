import { literal, path, type Expr, type Scalar } from "@pylonsync/query";

/** Matches the rows of a system table whose field has this value. */
export function fieldIs(field: string, value: Scalar): Expr {
  return { kind: "compare", op: "==", left: path("data", field), right: literal(value) };
}

/**
 * Matches the rows of a system table whose date field is at or before this time, in milliseconds
 * since 1970.
 */
export function fieldIsUpTo(field: string, time: number): Expr {
  return {
    kind: "compare",
    op: "<=",
    left: path("data", field),
    right: literal(new Date(time).toISOString()),
  };
}
