import {
  FALSE,
  TRUE,
  type Expr,
  type LiteralExpr,
  type PathExpr,
  type Root,
  type Scalar,
} from "./expr.ts";

/** All of them hold. Drops what is TRUE; is FALSE as soon as one is. */
export function and(...items: readonly Expr[]): Expr {
  return combine("and", items, TRUE, FALSE);
}

/** One of them holds. Drops what is FALSE; is TRUE as soon as one is. */
export function or(...items: readonly Expr[]): Expr {
  return combine("or", items, FALSE, TRUE);
}

/** It does not hold. */
export function not(item: Expr): Expr {
  if (item.kind === "literal") return item.value === true ? FALSE : TRUE;
  return item.kind === "not" ? item.item : { kind: "not", item };
}

export function literal(value: Scalar): LiteralExpr {
  return { kind: "literal", value };
}

export function path(root: Root, name: string): PathExpr {
  return { kind: "path", root, name };
}

/** The parts that must all hold. */
export function conjuncts(expr: Expr): readonly Expr[] {
  return expr.kind === "and" ? expr.items : [expr];
}

export function isTrue(expr: Expr): boolean {
  return expr.kind === "literal" && expr.value === true;
}
export function isFalse(expr: Expr): boolean {
  return expr.kind === "literal" && expr.value === false;
}

function combine(kind: "and" | "or", items: readonly Expr[], neutral: Expr, absorbing: Expr): Expr {
  const flat: Expr[] = [];
  for (const item of items) {
    if (item.kind === "literal" && item.value === (absorbing as LiteralExpr).value)
      return absorbing;
    if (item.kind === "literal" && item.value === (neutral as LiteralExpr).value) continue;
    if (item.kind === kind) flat.push(...item.items);
    else flat.push(item);
  }
  const [first] = flat;
  if (first === undefined) return neutral;
  return flat.length === 1 ? first : { kind, items: flat };
}
