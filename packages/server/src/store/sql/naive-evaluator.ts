import type { Env, Expr, Values } from "@pylonsync/query";
import type { StoredRow } from "../store.ts";

type Rows = ReadonlyMap<string, readonly StoredRow[]>;

/**
 * The rules of expr.ts said as plainly as possible, for the tests: it looks through all rows and
 * compiles nothing.
 */
export function holds(expr: Expr, env: Env, rows: Rows): boolean {
  switch (expr.kind) {
    case "and":
      return !expr.items.some((item) => !holds(item, env, rows));
    case "or":
      return expr.items.some((item) => holds(item, env, rows));
    case "not":
      return !holds(expr.item, env, rows);
    case "exists":
      return (rows.get(expr.entity) ?? []).some((related) =>
        holds(expr.where, { ...env, related }, rows),
      );
    case "in": {
      const { item, list } = expr;
      if (list.kind === "list") return list.items.some((entry) => equal(item, entry, env, rows));
      const members = valueOf(list, env, rows);
      return (
        Array.isArray(members) && members.some((member) => member === valueOf(item, env, rows))
      );
    }
    case "contains":
    case "startsWith": {
      const text = valueOf(expr.text, env, rows);
      const part = valueOf(expr.kind === "contains" ? expr.part : expr.prefix, env, rows);
      if (typeof text !== "string" || typeof part !== "string") return false;
      return expr.kind === "contains"
        ? text.split(part).length > 1 || part === ""
        : text.slice(0, part.length) === part;
    }
    case "compare":
      if (expr.op === "==") return equal(expr.left, expr.right, env, rows);
      if (expr.op === "!=") return !equal(expr.left, expr.right, env, rows);
      return ordered(expr.op, valueOf(expr.left, env, rows), valueOf(expr.right, env, rows));
    default:
      return valueOf(expr, env, rows) === true;
  }
}

function equal(left: Expr, right: Expr, env: Env, rows: Rows): boolean {
  const a = valueOf(left, env, rows);
  const b = valueOf(right, env, rows);
  const asksNull = [left, right].some((side) => side.kind === "literal" && side.value === null);
  return a === b && (a !== null || asksNull);
}

function ordered(op: string, a: unknown, b: unknown): boolean {
  if (typeof a === "number" && typeof b === "number")
    return op === "<" ? a < b : op === "<=" ? a <= b : op === ">" ? a > b : a >= b;
  if (typeof a !== "string" || typeof b !== "string") return false;
  const sign = Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return op === "<" ? sign < 0 : op === "<=" ? sign <= 0 : op === ">" ? sign > 0 : sign >= 0;
}

function valueOf(expr: Expr, env: Env, rows: Rows): unknown {
  if (expr.kind === "literal") return expr.value;
  if (expr.kind === "now") return env.now ?? null;
  if (expr.kind === "path") {
    const values: Values | undefined = env[expr.root];
    return values?.[expr.name] ?? null;
  }
  if (expr.kind === "list") return expr.items.map((item) => valueOf(item, env, rows));
  return holds(expr, env, rows);
}
