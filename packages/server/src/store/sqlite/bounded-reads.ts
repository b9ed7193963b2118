/**
 * Which reads are sure to be short, by their tree and the indexes: those that touch a few rows,
 * whatever is in the tables, and do next to nothing with each. What is not sure counts as long.
 */
import { conjuncts, isTrue, nodesOf, TRUE, type CompareExpr, type Expr } from "@pylonsync/query";
import type { Select } from "../store.ts";

/** Rows that a short read may touch. */
const MAX_ROWS = 200;
/** Parts of its condition, for all of these rows together. */
const MAX_STEPS = 5_000;

/** What looks into texts. */
const LONG_TESTS: ReadonlySet<Expr["kind"]> = new Set([
  "contains",
  "has",
  "member",
  "startsWith",
  "endsWith",
  "containsFolded",
]);

/** An index or a primary key. */
export interface Index {
  readonly isUnique: boolean;
  readonly columns: readonly string[];
}

/** The indexes of a table by its name. */
export type IndexesOf = (table: string) => readonly Index[];

/**
 * Rows that are named by a key; or the first few in the order of their ids, of all rows or of those
 * that an index holds together.
 */
export function isBoundedSelect(
  { entity, where = TRUE, search, order = [], limit, offset = 0, perParent }: Select,
  indexesOf: IndexesOf,
): boolean {
  if (search !== undefined) return false;
  if (perParent?.limit !== undefined || perParent?.through !== undefined) return false;
  const parts = conjuncts(where).filter((part) => !isTrue(part));
  const isById = order[0] === undefined || order[0].field === "id";
  // What most reads are is judged first: it costs the least.
  if (isById && limit !== undefined && limit + offset <= MAX_ROWS) {
    const rest = parts.filter((part) => !isAfterId(part));
    if (rest.length === 0 || fillsIndex(rest, "data", indexesOf(entity))) return true;
  }
  return isBoundedByKey(parts, entity, indexesOf);
}

/** The number of rows that are named by a key. */
export function isBoundedCount(entity: string, where: Expr, indexesOf: IndexesOf): boolean {
  return isBoundedByKey(conjuncts(where), entity, indexesOf);
}

/** A condition on no row, whose `exists` are each answered by an index. */
export function isBoundedTest(expr: Expr, indexesOf: IndexesOf): boolean {
  return isShort(expr, 1, indexesOf);
}

function isBoundedByKey(parts: readonly Expr[], entity: string, indexesOf: IndexesOf): boolean {
  const rows = rowsByKey(parts, "data", indexesOf(entity));
  return rows <= MAX_ROWS && parts.every((part) => isShort(part, rows, indexesOf));
}

/** How many rows there can be with these values; Infinity when no key says so. */
function rowsByKey(
  parts: readonly Expr[],
  root: "data" | "related",
  indexes: readonly Index[],
): number {
  const fixed = fixedFields(parts, root);
  if (indexes.some(({ isUnique, columns }) => isUnique && columns.every((name) => fixed.has(name))))
    return 1;
  const lists = parts.flatMap((part) =>
    part.kind === "in" && isId(part.item, root) && part.list.kind === "list"
      ? part.list.items.length
      : [],
  );
  return Math.min(Infinity, ...lists);
}

/** Whether it takes few steps for each of some rows. What may be long is not looked into. */
function isShort(expr: Expr, rows: number, indexesOf: IndexesOf): boolean {
  let steps = 0;
  for (const node of nodesOf(expr)) {
    steps += node.kind === "list" ? node.items.length : 1;
    if (LONG_TESTS.has(node.kind) || node.kind === "hasRelated") return false;
    if (node.kind !== "exists") continue;
    const parts = conjuncts(node.where);
    const indexes = indexesOf(node.entity);
    if (rowsByKey(parts, "related", indexes) > 1 && !fillsIndex(parts, "related", indexes))
      return false;
  }
  return steps * rows <= MAX_STEPS;
}

/** Whether they say the value of each column of an index, and nothing else. */
function fillsIndex(
  parts: readonly Expr[],
  root: "data" | "related",
  indexes: readonly Index[],
): boolean {
  const fixed = fixedFields(parts, root);
  return (
    fixed.size === parts.length &&
    indexes.some(
      ({ columns }) =>
        columns.length === fixed.size && columns.every((column) => fixed.has(column)),
    )
  );
}

/** The fields of a row that are equal to a value from elsewhere. */
function fixedFields(parts: readonly Expr[], root: "data" | "related"): ReadonlySet<string> {
  return new Set(parts.flatMap((part) => (part.kind === "compare" ? fixedField(part, root) : [])));
}

function fixedField({ op, left, right }: CompareExpr, root: "data" | "related"): string | [] {
  if (op !== "==") return [];
  for (const [field, value] of [
    [left, right],
    [right, left],
  ] as const) {
    const isFromElsewhere =
      (value.kind === "literal" && value.value !== null) ||
      (value.kind === "path" && value.root !== root);
    if (field.kind === "path" && field.root === root && isFromElsewhere) return field.name;
  }
  return [];
}

/** The beginning of a page. */
function isAfterId(expr: Expr): boolean {
  return (
    expr.kind === "compare" &&
    (expr.op === ">" || expr.op === ">=") &&
    isId(expr.left, "data") &&
    expr.right.kind === "literal"
  );
}

function isId(expr: Expr, root: "data" | "related"): boolean {
  return expr.kind === "path" && expr.root === root && expr.name === "id";
}
