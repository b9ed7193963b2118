import { and, isFalse, literal, not, or, path } from "./build.ts";
import { QueryError } from "./errors.ts";
import {
  FALSE,
  TRUE,
  type CompareOp,
  type EntityShape,
  type Expr,
  isScalarKind,
  type FieldKind,
  type Order,
  type Scalar,
} from "./expr.ts";
import { columnKind } from "./column-kind.ts";
import {
  MAX_FILTER_DEPTH,
  MAX_LIST_VALUES,
  MAX_LISTED_VALUES,
  MAX_NEEDLE_LENGTH,
  MAX_NODES,
  MAX_RELATED,
  MAX_SEARCHES,
} from "./limits.ts";
import { parseOrder } from "./parse-order.ts";
import { comparable, comparableWithAny, storableText } from "./value-kind.ts";
import { nearest } from "./nearest.ts";

/** A filter, understood. */
export interface ParsedFilter {
  readonly where: Expr;
  readonly order: readonly Order[];
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
  readonly search?: string | undefined;
}

const COMPARISONS: ReadonlyMap<string, CompareOp> = new Map([
  ["$eq", "=="],
  ["$ne", "!="],
  ["$not", "!="],
  ["$gt", ">"],
  ["$gte", ">="],
  ["$lt", "<"],
  ["$lte", "<="],
]);
const OPERATORS = [
  ...COMPARISONS.keys(),
  "$between",
  "$in",
  "$nin",
  "$like",
  "$ilike",
  "$startsWith",
  "$endsWith",
  "$exists",
];
const KEYS = ["$and", "$or", "$not", "$order", "$limit", "$offset", "$search"];

/** How a filter is read. */
export interface FilterOptions {
  /**
   * What a name is that the entity does not have: `refused`, or `null` in every row, as on a client
   * whose page may be older than the server's schema. Default `refused`.
   */
  readonly unknownFields?: "refused" | "null";
  /** Absent: a filter asks nothing of related rows. */
  readonly relations?: Relations;
}

/**
 * The relation of an entity with this name; undefined when it has none.
 *
 * @throws what refuses a filter over it
 */
export type Relations = (name: string, at: string) => Relation | undefined;

/** Where the rows of a relation are, and which of them may be asked about. */
export interface Relation {
  readonly entity: EntityShape;
  /** The row's own field that leads to them. */
  readonly key: string;
  /** Their field that equals it. */
  readonly field: string;
  /** On `data`, a related row. */
  readonly readable: Expr;
  readonly relations: Relations;
}

/**
 * Parses a filter such as `{done: false, $or: [{title: {$like: "milk"}}, {due: {$lt:
 * "2026-01-01"}}], $order: {due: "asc"}, $limit: 20}`.
 *
 * @param entity checks names and kinds of values, and brings values to their normal form; without
 *   it (on a client whose server does not tell) anything goes
 * @throws QueryError INVALID_QUERY, INVALID_COLUMN, with the place in `field`
 */
export function parseFilter(
  filter: unknown,
  entity?: EntityShape,
  options: FilterOptions = {},
): ParsedFilter {
  const isStrict = options.unknownFields !== "null";
  const entries = new Map(Object.entries(asObject(filter, "")));
  const order = entries.get("$order");
  const limit = wholeNumber(entries.get("$limit"), "$limit");
  const offset = wholeNumber(entries.get("$offset"), "$offset");
  const search = entries.get("$search");
  if (search !== undefined && typeof search !== "string")
    throw new QueryError("INVALID_QUERY", "$search is a text.", { field: "$search" });
  const scope = { entity, isStrict, relations: options.relations };
  const where = new FilterParser(scope, new FilterBudget()).conditions(
    [...entries].filter(
      ([key]) => key !== "$order" && key !== "$limit" && key !== "$offset" && key !== "$search",
    ),
    "",
    0,
  );
  return {
    where,
    order: order === undefined ? [] : parseOrder(order, isStrict ? entity : undefined),
    limit,
    offset,
    search,
  };
}

/** What a filter may still ask, with what it asks of related rows. */
class FilterBudget {
  #nodes = 0;
  #listed = 0;
  #searches = 0;
  #related = 0;

  count(nodes: number, at: string): void {
    this.#nodes += nodes;
    refuseAbove(MAX_NODES, this.#nodes, `A filter has at most ${MAX_NODES} conditions.`, at);
  }

  list(values: number, at: string): void {
    this.#listed += values;
    const message = `A filter lists at most ${MAX_LISTED_VALUES} values.`;
    refuseAbove(MAX_LISTED_VALUES, this.#listed, message, at);
  }

  search(at: string): void {
    this.#searches += 1;
    const message = `A filter has at most ${MAX_SEARCHES} $like and $ilike.`;
    refuseAbove(MAX_SEARCHES, this.#searches, message, at);
  }

  relate(at: string): void {
    this.#related += 1;
    const message = `A filter asks at most ${MAX_RELATED} times about related rows.`;
    refuseAbove(MAX_RELATED, this.#related, message, at);
  }
}

function refuseAbove(most: number, count: number, message: string, field: string): void {
  if (count > most) throw new QueryError("INVALID_QUERY", message, { field });
}

interface FilterScope {
  readonly entity: EntityShape | undefined;
  readonly isStrict: boolean;
  readonly relations: Relations | undefined;
}

class FilterParser {
  readonly #entity: EntityShape | undefined;
  readonly #isStrict: boolean;
  readonly #relations: Relations | undefined;
  readonly #budget: FilterBudget;

  constructor({ entity, isStrict, relations }: FilterScope, budget: FilterBudget) {
    this.#entity = entity;
    this.#isStrict = isStrict;
    this.#relations = relations;
    this.#budget = budget;
  }

  conditions(entries: readonly (readonly [string, unknown])[], at: string, depth: number): Expr {
    if (depth > MAX_FILTER_DEPTH)
      throw new QueryError("INVALID_QUERY", `A filter nests at most ${MAX_FILTER_DEPTH} levels.`, {
        field: at,
      });
    return and(
      ...entries.map(([key, value]) =>
        this.#condition(key, value, at === "" ? key : `${at}.${key}`, depth),
      ),
    );
  }

  #condition(key: string, value: unknown, at: string, depth: number): Expr {
    this.#count(1, at);
    if (key === "$and") return and(...this.#alternatives(value, at, depth));
    if (key === "$or") return or(...this.#alternatives(value, at, depth));
    if (key === "$not")
      return not(this.conditions(Object.entries(asObject(value, at)), at, depth + 1));
    if (key.startsWith("$")) {
      throw new QueryError("INVALID_QUERY", `"${key}" is not part of a filter.`, {
        field: at,
        hint: `Known: ${KEYS.join(", ")}.`,
      });
    }
    const relation = this.#relationOf(key, at);
    if (relation !== undefined) return this.#related(relation, value, at, depth);
    const kind = this.#kindOf(key, at);
    if (typeof value !== "object" || value === null || value instanceof Date)
      return this.#compare(key, kind, "==", value, at);
    if (Array.isArray(value))
      throw new QueryError("INVALID_QUERY", `"${key}" is compared with a list.`, {
        field: at,
        hint: `Use {"${key}": {"$in": [...]}}.`,
      });
    const operators = Object.entries(value);
    if (operators.length === 0)
      throw new QueryError("INVALID_QUERY", `"${key}" has no operator.`, {
        field: at,
        hint: `Known: ${OPERATORS.join(", ")}.`,
      });
    return and(
      ...operators.map(([operator, operand]) =>
        this.#operation(key, kind, operator, operand, `${at}.${operator}`),
      ),
    );
  }

  #alternatives(value: unknown, at: string, depth: number): Expr[] {
    if (!Array.isArray(value))
      throw new QueryError("INVALID_QUERY", `${at} is a list of filters.`, { field: at });
    this.#count(value.length, at);
    return value.map((item: unknown, index) =>
      this.conditions(
        Object.entries(asObject(item, `${at}[${index}]`)),
        `${at}[${index}]`,
        depth + 1,
      ),
    );
  }

  /** A field comes before a relation of its name. */
  #relationOf(key: string, at: string): Relation | undefined {
    return this.#entity?.fields.has(key) === false ? this.#relations?.(key, at) : undefined;
  }

  /** Null: there is no related row. */
  #related(relation: Relation, value: unknown, at: string, depth: number): Expr {
    this.#budget.relate(at);
    const { entity, key, field, readable, relations } = relation;
    const inner = new FilterParser({ entity, isStrict: this.#isStrict, relations }, this.#budget);
    const asked =
      value === null ? TRUE : inner.conditions(Object.entries(asObject(value, at)), at, depth + 1);
    const where = and(asked, readable);
    const some: Expr = isFalse(where)
      ? FALSE
      : { kind: "hasRelated", entity: entity.name, field, key: path("data", key), where };
    return value === null ? not(some) : some;
  }

  #operation(
    field: string,
    kind: FieldKind | undefined,
    operator: string,
    operand: unknown,
    at: string,
  ): Expr {
    this.#count(1, at);
    const comparison = COMPARISONS.get(operator);
    if (comparison !== undefined) return this.#compare(field, kind, comparison, operand, at);
    switch (operator) {
      case "$in":
        return this.#membership(field, kind, operand, at);
      case "$nin":
        return not(this.#membership(field, kind, operand, at));
      case "$exists":
        if (typeof operand !== "boolean")
          throw new QueryError("INVALID_QUERY", `${at} is true or false.`, { field: at });
        return {
          kind: "compare",
          op: operand ? "!=" : "==",
          left: path("data", field),
          right: { kind: "literal", value: null },
        };
      case "$between":
        return this.#between(field, kind, operand, at);
      case "$like":
      case "$ilike":
      case "$startsWith":
      case "$endsWith":
        return this.#textTest(operator, field, textOf(field, kind, operand, at), at);
      default: {
        const meant = nearest(operator, OPERATORS);
        throw new QueryError("INVALID_QUERY", `"${operator}" is not an operator.`, {
          field: at,
          hint: operator.startsWith("$")
            ? meant === undefined
              ? `Known: ${OPERATORS.join(", ")}.`
              : `Did you mean ${meant}?`
            : "Filters over related rows are answered by the server: ask /api/query or ctx.db.",
        });
      }
    }
  }

  #compare(
    field: string,
    kind: FieldKind | undefined,
    op: CompareOp,
    value: unknown,
    at: string,
  ): Expr {
    const isOrdering = op !== "==" && op !== "!=";
    if (isOrdering && value === null)
      throw new QueryError("INVALID_QUERY", `${at}: null has no order.`, {
        field: at,
        hint: "Use $exists to ask for null.",
      });
    if (isOrdering && kind !== undefined && !hasOrder(kind))
      throw new QueryError("INVALID_QUERY", `${at}: ${article(kind)} has no order.`, { field: at });
    return {
      kind: "compare",
      op,
      left: path("data", field),
      right: { kind: "literal", value: valueOf(kind, value, at) },
    };
  }

  /** Both ends belong to it. */
  #between(field: string, kind: FieldKind | undefined, operand: unknown, at: string): Expr {
    if (!Array.isArray(operand) || operand.length !== 2)
      throw new QueryError("INVALID_QUERY", `${at} is a list of two values.`, {
        field: at,
        hint: "Write the least value and the greatest one: [1, 10].",
      });
    this.#count(1, at);
    const [least, greatest]: unknown[] = operand;
    return and(
      this.#compare(field, kind, ">=", least, `${at}[0]`),
      this.#compare(field, kind, "<=", greatest, `${at}[1]`),
    );
  }

  #textTest(
    operator: "$like" | "$ilike" | "$startsWith" | "$endsWith",
    field: string,
    part: string,
    at: string,
  ): Expr {
    const text = path("data", field);
    switch (operator) {
      case "$like":
        this.#countSearch(at);
        return { kind: "contains", text, part: literal(part) };
      case "$ilike":
        this.#countSearch(at);
        return { kind: "containsFolded", text, part };
      case "$startsWith":
        return { kind: "startsWith", text, prefix: literal(part) };
      case "$endsWith":
        return { kind: "endsWith", text, suffix: literal(part) };
    }
  }

  #membership(field: string, kind: FieldKind | undefined, operand: unknown, at: string): Expr {
    if (!Array.isArray(operand))
      throw new QueryError("INVALID_QUERY", `${at} is a list.`, { field: at });
    if (operand.length > MAX_LIST_VALUES)
      throw new QueryError("INVALID_QUERY", `${at} has at most ${MAX_LIST_VALUES} values.`, {
        field: at,
      });
    this.#budget.list(operand.length, at);
    if (operand.length === 0) return FALSE;
    const items = operand.map((value: unknown, index) => ({
      kind: "literal" as const,
      value: valueOf(kind, value, `${at}[${index}]`),
    }));
    return { kind: "in", item: path("data", field), list: { kind: "list", items } };
  }

  #kindOf(field: string, at: string): FieldKind | undefined {
    if (this.#entity === undefined) return undefined;
    return this.#isStrict ? columnKind(this.#entity, field, at) : this.#entity.fields.get(field);
  }

  /** Of a client's own rows it may ask as it likes. */
  #countSearch(at: string): void {
    if (this.#entity !== undefined) this.#budget.search(at);
  }

  #count(nodes: number, at: string): void {
    this.#budget.count(nodes, at);
  }
}

function hasOrder(kind: FieldKind): boolean {
  return kind !== "bool" && isScalarKind(kind);
}

function article(kind: FieldKind): string {
  return `${kind === "array" ? "an" : "a"} ${kind}`;
}

function valueOf(kind: FieldKind | undefined, value: unknown, at: string): Scalar {
  return kind === undefined ? comparableWithAny(value, at) : comparable(kind, value, at);
}

function textOf(field: string, kind: FieldKind | undefined, value: unknown, at: string): string {
  if (kind !== undefined && kind !== "string" && kind !== "richtext" && kind !== "id") {
    throw new QueryError("INVALID_QUERY", `${at} needs a text field, and ${field} is a ${kind}.`, {
      field: at,
    });
  }
  if (typeof value === "string" && value.length > MAX_NEEDLE_LENGTH)
    throw new QueryError("INVALID_QUERY", `${at} has at most ${MAX_NEEDLE_LENGTH} characters.`, {
      field: at,
    });
  if (typeof value === "string") return kind === undefined ? value : storableText(value, at);
  throw new QueryError("INVALID_QUERY", `${at} is a text.`, { field: at });
}

function wholeNumber(value: unknown, at: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new QueryError("INVALID_QUERY", `${at} is a whole number from 0.`, { field: at });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @throws QueryError INVALID_QUERY when it is something else */
function asObject(value: unknown, at: string): Record<string, unknown> {
  if (isObject(value)) return value;
  throw new QueryError(
    "INVALID_QUERY",
    at === "" ? "A filter is an object." : `${at} is an object.`,
    { field: at },
  );
}
