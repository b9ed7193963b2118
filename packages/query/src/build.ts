import {
  FALSE,
  TRUE,
  type Expr,
  type LiteralExpr,
  type PathExpr,
  type Root,
  type Scalar,
} from "./expr.ts";

/** All items are true. Drops TRUE items; is FALSE if one item is. */
export function and(...items: readonly Expr[]): Expr {
  return combine("and", items);
}

/** At least one item is true. Drops FALSE items; is TRUE if one item is. */
export function or(...items: readonly Expr[]): Expr {
  return combine("or", items);
}

/** The item is false. */
export function not(item: Expr): Expr {
  if (item.kind === "literal") return item.value === true ? FALSE : TRUE;
  return item.kind === "not" ? item.item : { kind: "not", item };
}

/** A literal value. */
export function literal(value: Scalar): LiteralExpr {
  return { kind: "literal", value };
}

/** The value of a field of a row, or of the caller. */
export function path(root: Root, name: string): PathExpr {
  return { kind: "path", root, name };
}

/** The parts that must all be true. */
export function conjuncts(expr: Expr): readonly Expr[] {
  return expr.kind === "and" ? expr.items : [expr];
}

/** Whether it is the literal `true`, which matches every row. */
export function isTrue(expr: Expr): boolean {
  return expr.kind === "literal" && expr.value === true;
}

/** Whether it is the literal `false`, which matches no row. */
export function isFalse(expr: Expr): boolean {
  return expr.kind === "literal" && expr.value === false;
}

function combine(kind: "and" | "or", items: readonly Expr[]): Expr {
  const [neutral, absorbing] = kind === "and" ? [TRUE, FALSE] : [FALSE, TRUE];
  const flat: Expr[] = [];
  for (const item of items) {
    if (item.kind === "literal" && item.value === absorbing.value) return absorbing;
    if (item.kind === "literal" && item.value === neutral.value) continue;
    if ((item.kind === "and" || item.kind === "or") && item.kind === kind) flat.push(...item.items);
    else flat.push(item);
  }
  const [first] = flat;
  if (first === undefined) return neutral;
  return flat.length === 1 ? first : { kind, items: flat };
}
