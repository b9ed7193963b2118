import { and, isFalse, literal, not, or } from "./build.ts";
import { compilePredicate } from "./compile-predicate.ts";
import {
  areEqual,
  hasOneOf,
  isMember,
  isNullLiteral,
  isOrdered,
  memberOf,
  textTest,
  type TextTest,
} from "./evaluate.ts";
import {
  FALSE,
  TRUE,
  type CompareExpr,
  type Env,
  type Expr,
  type ExistsExpr,
  type HasExpr,
  type HasRelatedExpr,
  type InExpr,
  type ListExpr,
  type LiteralExpr,
  type OuterExpr,
  type PathExpr,
  type Scalar,
  type Values,
} from "./expr.ts";
import { readPath } from "./path-value.ts";
import { storedForm } from "./stored-form.ts";

/**
 * Evaluates the known parts of a tree: the roots in `env` are replaced by their values, and the
 * result is folded. The rest of the tree stays.
 *
 * @returns TRUE or FALSE if the known values decide it
 * @example
 * bind(parsePolicy("auth.userId == data.ownerId"), { auth }) // data.ownerId == "u1"
 */
export function bind(expr: Expr, env: Env): Expr {
  switch (expr.kind) {
    case "literal":
    case "list":
    case "path":
    case "outer":
    case "member":
    case "now":
      return truthOf(bindOperand(expr, env));
    case "and":
      return and(...expr.items.map((item) => bind(item, env)));
    case "or":
      return or(...expr.items.map((item) => bind(item, env)));
    case "not":
      return not(bind(expr.item, env));
    case "exists":
      return bindExists(expr, env);
    case "hasRelated":
      return bindHasRelated(expr, env);
    case "compare":
      return bindCompare(expr, env);
    case "in":
      return bindIn(expr, env);
    case "contains":
      return bindText("contains", expr.text, expr.part, env, (text, part) => ({
        ...expr,
        text,
        part,
      }));
    case "startsWith":
      return bindText("startsWith", expr.text, expr.prefix, env, (text, prefix) => ({
        ...expr,
        text,
        prefix,
      }));
    case "endsWith":
      return bindText("endsWith", expr.text, expr.suffix, env, (text, suffix) => ({
        ...expr,
        text,
        suffix,
      }));
    case "has":
      return bindHas(expr, env);
    case "containsFolded": {
      const text = bindOperand(expr.text, env);
      if (text.kind === "list") return FALSE;
      const bound: Expr = { ...expr, text };
      return text.kind === "literal" ? truth(compilePredicate(bound)({})) : bound;
    }
  }
}

function bindExists(expr: ExistsExpr, env: Env): Expr {
  // `related` is the row of this exists itself: it is never bound from outside.
  const { data, old, input, room, auth, now, related, enclosing = [] } = env;
  const around = [related, ...enclosing];
  const where = bind(expr.where, { data, old, input, room, auth, now, enclosing: around });
  return isFalse(where) ? FALSE : { ...expr, where };
}

function bindHasRelated(expr: HasRelatedExpr, env: Env): Expr {
  const key = bindOperand(expr.key, env);
  // Inside, `data` is the related row.
  const { old, input, room, auth, now } = env;
  const where = bind(expr.where, { old, input, room, auth, now });
  const isNothing = isNullLiteral(key) || key.kind === "list" || isFalse(where);
  return isNothing ? FALSE : { ...expr, key, where };
}

function bindHas(expr: HasExpr, env: Env): Expr {
  const list = bindOperand(expr.list, env);
  if (list.kind === "literal") return FALSE;
  return list.kind === "list" ? truth(hasOneOf(valuesOf(list), expr.items)) : { ...expr, list };
}

function bindText(
  how: TextTest,
  text: Expr,
  part: Expr,
  env: Env,
  rebuild: (text: Expr, part: Expr) => Expr,
): Expr {
  const a = bindOperand(text, env);
  const b = bindOperand(part, env);
  if (isNullLiteral(a) || isNullLiteral(b) || a.kind === "list" || b.kind === "list") return FALSE;
  if (a.kind === "literal" && b.kind === "literal") return truth(textTest(a.value, b.value, how));
  return rebuild(a, b);
}

/**
 * Decides a comparison with a value that turned out to be null, while both sides are known: such a
 * value equals nothing, and only the literal `null` tests for null.
 */
function bindCompare(expr: CompareExpr, env: Env): Expr {
  const left = bindOperand(expr.left, env);
  const right = bindOperand(expr.right, env);
  const isEquality = expr.op === "==" || expr.op === "!=";
  const asksNull = isEquality && (isNullLiteral(expr.left) || isNullLiteral(expr.right));
  const isKnown = left.kind === "literal" && right.kind === "literal";
  // A list equals nothing and has no order.
  if (left.kind === "list" || right.kind === "list") return truth(expr.op === "!=");
  if (asksNull) {
    if (!isKnown) return { ...expr, left, right };
    return truth((left.value === right.value) === (expr.op === "=="));
  }
  if (isNullLiteral(left) || isNullLiteral(right)) return truth(expr.op === "!=");
  if (!isKnown) return { ...expr, left, right };
  if (isEquality) return truth(areEqual(left.value, right.value) === (expr.op === "=="));
  return truth(isOrdered(expr.op, left.value, right.value, expr.isDecimal));
}

function bindIn(expr: InExpr, env: Env): Expr {
  const item = bindOperand(expr.item, env);
  const bound = bindOperand(expr.list, env);
  if (item.kind === "list" || bound.kind === "literal") return FALSE;
  if (bound.kind !== "list") return { ...expr, item, list: bound };
  // A null from a path is not a member and has none; a null literal tests for null.
  const list = expr.list.kind === "list" ? withoutFoundNulls(expr.list, bound) : bound;
  if (list.items.length === 0) return FALSE;
  if (isNullLiteral(item) && expr.item.kind !== "literal" && !list.items.some(isNullLiteral))
    return FALSE;
  if (isNullLiteral(item)) return truth(list.items.some(isNullLiteral));
  if (item.kind === "literal" && list.items.every((entry) => entry.kind === "literal")) {
    return truth(isMember(item.value, valuesOf(list)));
  }
  return { ...expr, item, list };
}

function valuesOf({ items }: ListExpr): Scalar[] {
  return items.map((entry) => (entry.kind === "literal" ? entry.value : null));
}

function withoutFoundNulls(written: ListExpr, bound: ListExpr): ListExpr {
  return {
    ...bound,
    items: bound.items.filter(
      (item, index) => !isNullLiteral(item) || written.items[index]?.kind === "literal",
    ),
  };
}

function bindOperand(expr: Expr, env: Env): Expr {
  switch (expr.kind) {
    case "literal":
      return expr;
    case "list":
      return { ...expr, items: expr.items.map((item) => bindOperand(item, env)) };
    case "now":
      return env.now === undefined ? expr : literal(env.now);
    case "path":
      return bindValues(expr, env[expr.root]);
    case "outer":
      return bindValues(expr, env.enclosing?.[expr.up - 1]);
    case "member": {
      const of = bindOperand(expr.of, env);
      if (of.kind === "path" || of.kind === "outer") return { ...expr, of };
      return foundValue(of.kind === "literal" ? memberOf(of.value, expr.steps) : null);
    }
    default:
      return bind(expr, env);
  }
}

function bindValues(expr: PathExpr | OuterExpr, values: Values | undefined): Expr {
  if (values === undefined) return expr;
  return foundValue(readPath(expr, storedForm)(values));
}

function foundValue(value: unknown): LiteralExpr | ListExpr {
  if (Array.isArray(value))
    return { kind: "list", items: value.map((item: unknown) => foundLiteral(item)) };
  return foundLiteral(value);
}

/**
 * Rows, callers and inputs are JSON. An object in them equals nothing, here as in the evaluator, so
 * it may be treated as a scalar.
 */
function foundLiteral(value: unknown): LiteralExpr {
  return literal(value as Scalar);
}

/** As a condition, only `true` is true. */
function truthOf(expr: Expr): Expr {
  return expr.kind === "literal" || expr.kind === "list"
    ? truth(expr.kind === "literal" && expr.value === true)
    : expr;
}

function truth(value: boolean): Expr {
  return value ? TRUE : FALSE;
}
