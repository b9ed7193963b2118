import { foldCase } from "./case-fold.ts";
import { foldedForm } from "./folded-texts.ts";
import { compareNumerals, compareValues } from "./compare.ts";
import type { CompareExpr, CompareOp, Env, Expr, InExpr, PathExpr, Values } from "./expr.ts";

type Read = (env: Env) => unknown;
type Test = (env: Env) => boolean;
type ReadPath = (path: PathExpr) => Read;

/**
 * Compiles a filter of a client, which reads no claims.
 *
 * @returns a function that tests rows
 * @throws Error if the filter reads other rows (`hasExists`)
 * @example
 * const test = compileFilter(parseLocalFilter({ done: false }).where);
 * const open = rows.filter((data) => test({ data }));
 */
export function compileFilter(expr: Expr): Test {
  return compileTest(
    expr,
    ({ name }) =>
      ({ data = {} }) =>
        fieldValue(data, name),
  );
}

/** The value of a row's field; null if it has none. */
export function fieldValue(row: Values, field: string): unknown {
  return Object.hasOwn(row, field) ? (row[field] ?? null) : null;
}

/** @param readPath returns how the value of a path is read */
export function compileTest(expr: Expr, readPath: ReadPath): Test {
  switch (expr.kind) {
    case "and": {
      const tests = expr.items.map((item) => compileTest(item, readPath));
      return (env) => tests.every((test) => test(env));
    }
    case "or": {
      const tests = expr.items.map((item) => compileTest(item, readPath));
      return (env) => tests.some((test) => test(env));
    }
    case "not": {
      const test = compileTest(expr.item, readPath);
      return (env) => !test(env);
    }
    case "compare":
      return compileCompare(expr, readPath);
    case "in":
      return compileMembership(expr, readPath);
    case "contains":
      return compileTextTest("contains", expr.text, expr.part, readPath);
    case "startsWith":
      return compileTextTest("startsWith", expr.text, expr.prefix, readPath);
    case "endsWith":
      return compileTextTest("endsWith", expr.text, expr.suffix, readPath);
    case "containsFolded":
      return compileFoldedTest(expr.text, expr.part, readPath);
    case "has": {
      const list = compileRead(expr.list, readPath);
      return (env) => hasOneOf(list(env), expr.items);
    }
    case "exists":
    case "hasRelated":
    case "outer":
      throw new Error("A predicate that looks at other rows can't be evaluated without a store.");
    case "literal":
    case "path":
    case "member":
    case "now":
    case "list": {
      const read = compileRead(expr, readPath);
      return (env) => read(env) === true;
    }
  }
}

function compileCompare({ op, left, right, isDecimal }: CompareExpr, readPath: ReadPath): Test {
  const a = compileRead(left, readPath);
  const b = compileRead(right, readPath);
  if (op === "==" || op === "!=") {
    const asksNull = isNullLiteral(left) || isNullLiteral(right);
    const equal: Test = asksNull ? (env) => a(env) === b(env) : (env) => areEqual(a(env), b(env));
    return op === "==" ? equal : (env) => !equal(env);
  }
  return (env) => isOrdered(op, a(env), b(env), isDecimal);
}

function compileMembership({ item, list }: InExpr, readPath: ReadPath): Test {
  if (
    list.kind === "list" &&
    !isNullLiteral(item) &&
    list.items.some((entry) => entry.kind !== "literal")
  ) {
    const tests = list.items.map((entry) =>
      compileCompare({ kind: "compare", op: "==", left: item, right: entry }, readPath),
    );
    return (env) => tests.some((test) => test(env));
  }
  const value = compileRead(item, readPath);
  // A null that was written as the item asks for a written null, and nothing that is found equals
  // it.
  const values = compileRead(
    isNullLiteral(item) && list.kind === "list"
      ? { ...list, items: list.items.filter(isNullLiteral) }
      : list,
    readPath,
  );
  return (env) => isMember(value(env), values(env));
}

function compileFoldedTest(text: Expr, part: string, readPath: ReadPath): Test {
  const read = compileRead(text, readPath);
  const folded = foldCase(part);
  return (env) => {
    const value = read(env);
    return typeof value === "string" && foldedForm(value).includes(folded);
  };
}

function compileTextTest(how: TextTest, text: Expr, part: Expr, readPath: ReadPath): Test {
  const a = compileRead(text, readPath);
  const b = compileRead(part, readPath);
  return (env) => textTest(a(env), b(env), how);
}

function compileRead(expr: Expr, readPath: ReadPath): Read {
  switch (expr.kind) {
    case "literal": {
      const { value } = expr;
      return () => value;
    }
    case "list": {
      const reads = expr.items.map((item) => compileRead(item, readPath));
      return (env) => reads.map((read) => read(env));
    }
    case "now":
      return (env) => env.now ?? null;
    case "path":
      return readPath(expr);
    case "member": {
      const of = compileRead(expr.of, readPath);
      return (env) => memberOf(of(env), expr.steps);
    }
    default: {
      const test = compileTest(expr, readPath);
      return (env) => test(env);
    }
  }
}

/** Whether it is a `null` literal, which tests for the absence of a value. */
export function isNullLiteral(expr: Expr): boolean {
  return expr.kind === "literal" && expr.value === null;
}

/** Null equals nothing, and values of different types are never equal. */
export function areEqual(a: unknown, b: unknown): boolean {
  return a !== null && a === b;
}

/**
 * Whether two values are in this order. Values of different types have no order, and of all kinds
 * only texts and numbers do.
 *
 * @param isDecimal whether texts are decimals, which are ordered by value
 */
export function isOrdered(op: CompareOp, a: unknown, b: unknown, isDecimal = false): boolean {
  if (typeof a !== typeof b || (typeof a !== "string" && typeof a !== "number")) return false;
  const order = isDecimal ? compareNumerals(a, b) : compareValues(a, b);
  switch (op) {
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
    default:
      return false;
  }
}

/** A null in a list of literals tests whether the value is null, as the literal does. */
export function isMember(item: unknown, list: unknown): boolean {
  return Array.isArray(list) && list.includes(item);
}

/** The value inside another one; null if there is none. A list has no keys. */
export function memberOf(value: unknown, steps: readonly string[]): unknown {
  let found = value;
  for (const step of steps) {
    if (typeof found !== "object" || found === null || Array.isArray(found)) return null;
    found = Object.hasOwn(found, step) ? (found as Values)[step] : null;
  }
  return found ?? null;
}

/** Whether a list contains one of the values as an item; false for a value that is not a list. */
export function hasOneOf(list: unknown, values: readonly unknown[]): boolean {
  return Array.isArray(list) && values.some((value) => list.includes(value));
}

/** How one text may contain the other. */
export type TextTest = "contains" | "startsWith" | "endsWith";

/** Whether one text contains the other at that place; false for a value that is not a text. */
export function textTest(text: unknown, part: unknown, how: TextTest): boolean {
  if (typeof text !== "string" || typeof part !== "string") return false;
  switch (how) {
    case "contains":
      return text.includes(part);
    case "startsWith":
      return text.startsWith(part);
    case "endsWith":
      return text.endsWith(part);
  }
}
