import { and, mapChildren, path, type Expr, type HasRelatedExpr } from "@pylonsync/query";

/**
 * Expresses a filter's conditions on related rows as `exists`, as policies do, so that the effect
 * of a change to a related row is found in the same way.
 *
 * @param expr a condition on `data`
 * @returns the same condition, without `hasRelated`
 */
export function withExists(expr: Expr): Expr {
  return lowered(expr, 0, 0);
}

/**
 * @param depth the number of `exists` around the part
 * @param row the number, from outside, of the `exists` whose row the part calls `data`; 0: none
 */
function lowered(expr: Expr, depth: number, row: number): Expr {
  switch (expr.kind) {
    case "path":
      return expr.root === "data" && row > 0 ? rowPath(expr.name, depth - row) : expr;
    case "exists":
      return { ...expr, where: lowered(expr.where, depth + 1, row) };
    case "hasRelated":
      return existsOf(expr, depth, row);
    default:
      return mapChildren(expr, (child) => lowered(child, depth, row));
  }
}

function existsOf({ entity, field, key, where }: HasRelatedExpr, depth: number, row: number): Expr {
  const leads: Expr = {
    kind: "compare",
    op: "==",
    left: path("related", field),
    right: lowered(key, depth + 1, row),
  };
  return { kind: "exists", entity, where: and(leads, lowered(where, depth + 1, depth + 1)) };
}

/** @param up how many levels outside the innermost `exists` the row belongs to */
function rowPath(name: string, up: number): Expr {
  return up === 0 ? path("related", name) : { kind: "outer", up, name };
}
