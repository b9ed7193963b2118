/**
 * Determines from the tree of a read and from the indexes whether it is guaranteed to be short: it
 * touches only a few rows, regardless of the contents of the tables, and does little work for each.
 * When in doubt, a read counts as long.
 */
import { conjuncts, isTrue, nodesOf, TRUE, type CompareExpr, type Expr } from "@pylonsync/query";
import type { Select } from "../store.ts";

/** The maximum number of rows that a short read may touch. */
const MAX_ROWS = 200;
/** The maximum number of parts of its condition, multiplied by the number of rows. */
const MAX_STEPS = 5_000;

/** Tests that search in texts. */
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

/** Returns the indexes of a table, by its name. */
export type IndexesOf = (table: string) => readonly Index[];

/**
 * Whether a select reads rows that are identified by a key, or the first few rows in the order of
 * their ids, of the whole table or of one group of equal keys in an index.
 */
export function isBoundedSelect(
  { entity, where = TRUE, search, order = [], limit, offset = 0, perParent }: Select,
  indexesOf: IndexesOf,
): boolean {
  if (search !== undefined) return false;
  if (perParent?.limit !== undefined || perParent?.through !== undefined) return false;
  const parts = conjuncts(where).filter((part) => !isTrue(part));
  const isById = order[0] === undefined || order[0].field === "id";
  // The most frequent kind of read is checked first, because the check is the cheapest.
  if (isById && limit !== undefined && limit + offset <= MAX_ROWS) {
    const rest = parts.filter((part) => !isAfterId(part));
    if (rest.length === 0 || fillsIndex(rest, "data", indexesOf(entity))) return true;
  }
  return isBoundedByKey(parts, entity, indexesOf);
}

/** Whether a count reads rows that are identified by a key. */
export function isBoundedCount(entity: string, where: Expr, indexesOf: IndexesOf): boolean {
  return isBoundedByKey(conjuncts(where), entity, indexesOf);
}

/** Whether an index answers each `exists` of the condition, which reads no row itself. */
export function isBoundedTest(expr: Expr, indexesOf: IndexesOf): boolean {
  return isShort(expr, 1, indexesOf);
}

function isBoundedByKey(parts: readonly Expr[], entity: string, indexesOf: IndexesOf): boolean {
  const rows = rowsByKey(parts, "data", indexesOf(entity));
  return rows <= MAX_ROWS && parts.every((part) => isShort(part, rows, indexesOf));
}

/** The maximum number of rows with these values; Infinity if no key limits it. */
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

/**
 * Whether the condition takes few steps for each of the rows. Tests that may be slow are not
 * allowed.
 */
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

/** Whether the parts determine the value of each column of an index, and nothing else. */
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

/** The fields of a row that must equal a value from outside of the row. */
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

/** The condition for the start of a page. */
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
