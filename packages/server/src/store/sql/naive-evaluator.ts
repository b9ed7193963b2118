import type { CompareExpr, Env, Expr, HasRelatedExpr, Values } from "@pylonsync/query";
import type { StoredRow } from "../store.ts";

type Rows = ReadonlyMap<string, readonly StoredRow[]>;

/**
 * The simplest possible implementation of the rules of expr.ts, for tests: it scans all rows and
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
        holds(
          expr.where,
          { ...env, related, enclosing: [env.related, ...(env.enclosing ?? [])] },
          rows,
        ),
      );
    case "hasRelated":
      return relatedOf(expr, env, rows).some((data) =>
        holds(expr.where, { ...env, data, related: undefined, enclosing: [] }, rows),
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
      return textTest(expr.text, expr.part, env, rows, (text, part) => {
        return text.split(part).length > 1 || part === "";
      });
    case "startsWith":
      return textTest(expr.text, expr.prefix, env, rows, (text, part) => {
        return text.slice(0, part.length) === part;
      });
    case "endsWith":
      return textTest(expr.text, expr.suffix, env, rows, (text, part) => {
        return text.slice(Math.max(0, text.length - part.length)) === part;
      });
    case "containsFolded": {
      const text = valueOf(expr.text, env, rows);
      return typeof text === "string" && containsFolded(Array.from(text), Array.from(expr.part));
    }
    case "has":
      return [valueOf(expr.list, env, rows)].some(
        (list) => Array.isArray(list) && expr.items.some((item) => list.indexOf(item) !== -1),
      );
    case "compare":
      if (expr.op === "==") return equal(expr.left, expr.right, env, rows);
      if (expr.op === "!=") return !equal(expr.left, expr.right, env, rows);
      return ordered(expr, valueOf(expr.left, env, rows), valueOf(expr.right, env, rows));
    default:
      return valueOf(expr, env, rows) === true;
  }
}

function relatedOf({ entity, field, key }: HasRelatedExpr, env: Env, rows: Rows): StoredRow[] {
  const value = valueOf(key, env, rows);
  if (typeof value !== "string") return [];
  return (rows.get(entity) ?? []).filter((row) => row[field] === value);
}

function textTest(
  left: Expr,
  right: Expr,
  env: Env,
  rows: Rows,
  test: (text: string, part: string) => boolean,
): boolean {
  const text = valueOf(left, env, rows);
  const part = valueOf(right, env, rows);
  return typeof text === "string" && typeof part === "string" && test(text, part);
}

/** Uses the engine's regular expressions to decide which letters are two cases of one. */
function containsFolded(text: readonly string[], part: readonly string[]): boolean {
  const tests = part.map((letter) => new RegExp(`^\\u{${code(letter)}}$`, "iu"));
  return Array.from({ length: text.length - part.length + 1 }, (_, start) => start).some((start) =>
    tests.every((test, index) => test.test(text[start + index] ?? "")),
  );
}

function code(letter: string): string {
  return (letter.codePointAt(0) ?? 0).toString(16);
}

function equal(left: Expr, right: Expr, env: Env, rows: Rows): boolean {
  const a = valueOf(left, env, rows);
  const b = valueOf(right, env, rows);
  const asksNull = [left, right].some((side) => side.kind === "literal" && side.value === null);
  return a === b && (a !== null || asksNull);
}

/** A decimal as an integer in units of its smallest digit. */
export function sizeOf(decimal: unknown): bigint {
  const [, sign = "", whole = "", fraction = ""] =
    /^(-?)(\d+)\.?(\d*)$/.exec(String(decimal)) ?? [];
  return BigInt(sign + whole + fraction.padEnd(18, "0"));
}

function ordered({ op, isDecimal }: CompareExpr, a: unknown, b: unknown): boolean {
  if (isDecimal === true) {
    if (typeof a !== "string" || typeof b !== "string") return false;
    const [x, y] = [sizeOf(a), sizeOf(b)];
    return op === "<" ? x < y : op === "<=" ? x <= y : op === ">" ? x > y : x >= y;
  }
  if (typeof a === "number" && typeof b === "number")
    return op === "<" ? a < b : op === "<=" ? a <= b : op === ">" ? a > b : a >= b;
  if (typeof a !== "string" || typeof b !== "string") return false;
  const sign = Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return op === "<" ? sign < 0 : op === "<=" ? sign <= 0 : op === ">" ? sign > 0 : sign >= 0;
}

function valueOf(expr: Expr, env: Env, rows: Rows): unknown {
  if (expr.kind === "literal") return expr.value;
  if (expr.kind === "outer") return env.enclosing?.[expr.up - 1]?.[expr.name] ?? null;
  if (expr.kind === "now") return env.now ?? null;
  if (expr.kind === "path") {
    const values: Values | undefined = env[expr.root];
    if (expr.root === "auth" && expr.name.startsWith("claims."))
      return env.auth?.claims[expr.name.slice("claims.".length)] ?? null;
    return values?.[expr.name] ?? null;
  }
  if (expr.kind === "member") {
    const objects = (value: unknown): Readonly<Record<string, unknown>> =>
      typeof value === "object" && !Array.isArray(value) ? { ...value } : {};
    return expr.steps.reduce<unknown>(
      (value, step) => new Map(Object.entries(objects(value))).get(step) ?? null,
      valueOf(expr.of, env, rows),
    );
  }
  if (expr.kind === "list") return expr.items.map((item) => valueOf(item, env, rows));
  return holds(expr, env, rows);
}
