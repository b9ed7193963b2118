import { comparableWithAny } from "./any-value.ts";
import { and, literal, not, or, path } from "./build.ts";
import { invalidQuery } from "./errors.ts";
import {
  FALSE,
  type CompareOp,
  type EntityShape,
  type Expr,
  type MemberExpr,
  type Order,
  type PathExpr,
  type Scalar,
} from "./expr.ts";
import type { FieldKind } from "./field-kinds.ts";
import type { FilterLimits } from "./filter-limits.ts";
import { MAX_FILTER_DEPTH, MAX_MEMBER_STEPS } from "./limits.ts";

/** A parsed filter. */
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
  "$has",
  "$hasAny",
  "$exists",
];
const KEYS = ["$and", "$or", "$not", "$order", "$limit", "$offset", "$search"];

/** How a condition uses a field. */
export type FieldUse = "ordered" | "list" | "object" | "text";

/** What depends on the kinds of fields. @throws QueryError INVALID_QUERY */
export interface FieldChecks {
  readonly comparable: (kind: FieldKind, value: unknown, at: string) => Scalar;
  readonly storableText: (text: string, at: string) => string;
  readonly requireUse: (kind: FieldKind, use: FieldUse, name: string, at: string) => void;
}

/** The names that keys of a filter can have. */
export interface FilterNames {
  /** Undefined on a client that does not know the schema: any field is accepted. */
  readonly entity: EntityShape | undefined;
  /** @returns undefined if the field's kind is not known. @throws QueryError INVALID_COLUMN */
  readonly kindOf: (field: string, at: string) => FieldKind | undefined;
  /** For fields whose kinds are known; absent if none are. */
  readonly checks?: FieldChecks | undefined;
  /** Parses a key's condition on related rows; undefined if a key can't have one. */
  readonly related?: (
    key: string,
    at: string,
    asked: unknown,
  ) => ((depth: number) => Expr) | undefined;
  /** Absent on a client. */
  readonly server?: ServerChecks | undefined;
}

/** What only a server needs to parse a filter. */
export interface ServerChecks {
  readonly limits: FilterLimits;
  /** Returns the name that was probably meant; undefined if none is close. */
  readonly nearest: (name: string, known: Iterable<string>) => string | undefined;
}

/**
 * Parses a filter.
 *
 * @throws QueryError INVALID_QUERY, INVALID_COLUMN, with the place in `field`
 */
export function parseNamed(
  filter: unknown,
  names: FilterNames,
  orderOf: (order: unknown) => Order[],
): ParsedFilter {
  const entries = new Map(Object.entries(asObject(filter, "")));
  const order = entries.get("$order");
  const limit = wholeNumber(entries.get("$limit"), "$limit");
  const offset = wholeNumber(entries.get("$offset"), "$offset");
  const search = entries.get("$search");
  if (search !== undefined && typeof search !== "string")
    invalidQuery("$search", "$search must be a string.");
  const where = new FilterParser(names).conditions(
    [...entries].filter(
      ([key]) => key !== "$order" && key !== "$limit" && key !== "$offset" && key !== "$search",
    ),
    "",
    0,
  );
  return { where, order: order === undefined ? [] : orderOf(order), limit, offset, search };
}

/** The field or JSON value that a condition tests. */
interface Subject {
  readonly expr: PathExpr | MemberExpr;
  readonly name: string;
  /** Undefined if it is not known. */
  readonly kind: FieldKind | undefined;
}

/** The types that a compared value can have, besides null. */
const TYPES = ["string", "number", "boolean"] as const;

/** Rejects quotes, backslashes and control characters, which databases write differently. */
function isStep(step: string): boolean {
  return step.length <= MAX_STEP_LENGTH && /^[^"\\\p{C}]+$/u.test(step);
}

const MAX_STEP_LENGTH = 100;

/** Parses the conditions of a filter. */
export class FilterParser {
  readonly #names: FilterNames;
  readonly #limits: FilterLimits | undefined;

  constructor(names: FilterNames) {
    this.#names = names;
    this.#limits = names.server?.limits;
  }

  conditions(entries: readonly (readonly [string, unknown])[], at: string, depth: number): Expr {
    if (depth > MAX_FILTER_DEPTH)
      invalidQuery(at, `A filter can have at most ${MAX_FILTER_DEPTH} levels.`);
    return and(
      ...entries.map(([key, value]) =>
        this.#condition(key, value, at === "" ? key : `${at}.${key}`, depth),
      ),
    );
  }

  #condition(key: string, value: unknown, at: string, depth: number): Expr {
    this.#limits?.conditions(1, at);
    if (key === "$and") return and(...this.#alternatives(value, at, depth));
    if (key === "$or") return or(...this.#alternatives(value, at, depth));
    if (key === "$not")
      return not(this.conditions(Object.entries(asObject(value, at)), at, depth + 1));
    if (key.startsWith("$")) {
      invalidQuery(at, `"${key}" is not a key of a filter.`, `Known: ${KEYS.join(", ")}.`);
    }
    const related = this.#names.related?.(key, at, value);
    if (related !== undefined) return related(depth);
    const subject = this.#subjectOf(key, at);
    if (typeof value !== "object" || value === null || value instanceof Date)
      return this.#compare(subject, "==", value, at);
    if (Array.isArray(value))
      invalidQuery(
        at,
        `"${key}" can't be compared with a list.`,
        `Use {"${key}": {"$in": [...]}}.`,
      );
    const operators = Object.entries(value);
    if (operators.length === 0)
      invalidQuery(at, `"${key}" must have an operator.`, `Known: ${OPERATORS.join(", ")}.`);
    return and(
      ...operators.map(([operator, operand]) =>
        this.#operation(subject, operator, operand, `${at}.${operator}`),
      ),
    );
  }

  #alternatives(value: unknown, at: string, depth: number): Expr[] {
    if (!Array.isArray(value)) invalidQuery(at, `${at} must be a list of filters.`);
    this.#limits?.conditions(value.length, at);
    return value.map((item: unknown, index) =>
      this.conditions(
        Object.entries(asObject(item, `${at}[${index}]`)),
        `${at}[${index}]`,
        depth + 1,
      ),
    );
  }

  #operation(subject: Subject, operator: string, operand: unknown, at: string): Expr {
    this.#limits?.conditions(1, at);
    const comparison = COMPARISONS.get(operator);
    if (comparison !== undefined) return this.#compare(subject, comparison, operand, at);
    switch (operator) {
      case "$in":
        return this.#membership(subject, operand, at);
      case "$nin":
        return not(this.#membership(subject, operand, at));
      case "$exists":
        if (typeof operand !== "boolean") invalidQuery(at, `${at} must be true or false.`);
        return {
          kind: "compare",
          op: operand ? "!=" : "==",
          left: subject.expr,
          right: { kind: "literal", value: null },
        };
      case "$between":
        return this.#between(subject, operand, at);
      case "$like":
      case "$ilike":
      case "$startsWith":
      case "$endsWith":
        return this.#textTest(operator, subject.expr, this.#textOf(subject, operand, at), at);
      case "$has":
        return this.#has(subject, [operand], at);
      case "$hasAny":
        return this.#has(subject, this.#listOf(operand, at), at);
      default: {
        const meant = this.#names.server?.nearest(operator, OPERATORS);
        invalidQuery(
          at,
          `"${operator}" is not an operator.`,
          operator.startsWith("$")
            ? meant === undefined
              ? `Known: ${OPERATORS.join(", ")}.`
              : `Did you mean ${meant}?`
            : "Operators begin with $; conditions on related rows use the name of a relation.",
        );
      }
    }
  }

  #compare(subject: Subject, op: CompareOp, value: unknown, at: string): Expr {
    const { expr, kind } = subject;
    if (op !== "==" && op !== "!=") {
      if (value === null)
        invalidQuery(at, `${at}: null can't be ordered.`, "Use $exists to test for null.");
      this.#requireUse(subject, "ordered", at);
    }
    return {
      kind: "compare",
      op,
      left: expr,
      right: { kind: "literal", value: this.#valueOf(kind, value, at) },
      ...(kind === "decimal" ? { isDecimal: true } : {}),
    };
  }

  /** Both bounds are inclusive. */
  #between(subject: Subject, operand: unknown, at: string): Expr {
    if (!Array.isArray(operand) || operand.length !== 2)
      invalidQuery(
        at,
        `${at} must be a list of two values.`,
        "Give the minimum and the maximum: [1, 10].",
      );
    this.#limits?.conditions(1, at);
    const [least, greatest]: unknown[] = operand;
    return and(
      this.#compare(subject, ">=", least, `${at}[0]`),
      this.#compare(subject, "<=", greatest, `${at}[1]`),
    );
  }

  #textTest(
    operator: "$like" | "$ilike" | "$startsWith" | "$endsWith",
    text: Expr,
    part: string,
    at: string,
  ): Expr {
    switch (operator) {
      case "$like":
        this.#limits?.search(at);
        return { kind: "contains", text, part: literal(part) };
      case "$ilike":
        this.#limits?.search(at);
        return { kind: "containsFolded", text, part };
      case "$startsWith":
        return { kind: "startsWith", text, prefix: literal(part) };
      case "$endsWith":
        return { kind: "endsWith", text, suffix: literal(part) };
    }
  }

  #membership({ expr, kind }: Subject, operand: unknown, at: string): Expr {
    const values = this.#listOf(operand, at);
    if (values.length === 0) return FALSE;
    const items = values.map((value, index) =>
      literal(this.#valueOf(kind, value, `${at}[${index}]`)),
    );
    if (expr.kind !== "member") return { kind: "in", item: expr, list: { kind: "list", items } };
    // Each list that a database receives has values of one type.
    return or(
      ...TYPES.map((type) => items.filter(({ value }) => typeof value === type)).flatMap(
        (alike): Expr[] =>
          alike.length === 0
            ? []
            : [{ kind: "in", item: expr, list: { kind: "list", items: alike } }],
      ),
      ...items
        .filter(({ value }) => value === null)
        .map((right): Expr => ({ kind: "compare", op: "==", left: expr, right })),
    );
  }

  #listOf(operand: unknown, at: string): readonly unknown[] {
    if (!Array.isArray(operand)) invalidQuery(at, `${at} must be a list.`);
    this.#limits?.list(operand.length, at);
    return operand;
  }

  #has(subject: Subject, values: readonly unknown[], at: string): Expr {
    const { expr, name } = subject;
    const itemKind = this.#names.entity?.items?.get(name);
    this.#requireUse(subject, "list", at);
    this.#limits?.search(at);
    const items = values.map((value, index) => {
      const place = values.length === 1 ? at : `${at}[${index}]`;
      const item = this.#valueOf(itemKind, value, place);
      if (item === null) invalidQuery(place, `${place} is null, which can't be an item.`);
      return item;
    });
    const found = TYPES.map((type) => items.filter((item) => typeof item === type));
    return or(
      ...found
        .filter((alike) => alike.length > 0)
        .map((alike): Expr => ({ kind: "has", list: expr, items: alike })),
    );
  }

  /** Resolves a key to a field, or to a value inside a JSON field. */
  #subjectOf(key: string, at: string): Subject {
    const [field = "", ...steps] = key.split(".");
    const kind = this.#names.kindOf(field, at);
    const whole = { expr: path("data", field), name: field, kind };
    if (steps.length === 0) return whole;
    this.#requireUse(whole, "object", at);
    if (steps.length > MAX_MEMBER_STEPS || !steps.every((step) => isStep(step)))
      invalidQuery(
        at,
        `${at} is not a valid path into ${field}.`,
        `Use up to ${MAX_MEMBER_STEPS} keys of objects: "${field}.color".`,
      );
    return { expr: { kind: "member", of: whole.expr, steps }, name: key, kind: undefined };
  }

  #valueOf(kind: FieldKind | undefined, value: unknown, at: string): Scalar {
    const { checks } = this.#names;
    return kind === undefined || checks === undefined
      ? comparableWithAny(value, at)
      : checks.comparable(kind, value, at);
  }

  #textOf(subject: Subject, value: unknown, at: string): string {
    this.#requireUse(subject, "text", at);
    if (typeof value !== "string") invalidQuery(at, `${at} must be a string.`);
    this.#limits?.text(value, at);
    const { checks } = this.#names;
    return subject.kind === undefined || checks === undefined
      ? value
      : checks.storableText(value, at);
  }

  #requireUse({ kind, name }: Subject, use: FieldUse, at: string): void {
    if (kind !== undefined) this.#names.checks?.requireUse(kind, use, name, at);
  }
}

function wholeNumber(value: unknown, at: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  invalidQuery(at, `${at} must be a whole number of at least 0.`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns the value. @throws QueryError INVALID_QUERY if it is not an object */
export function asObject(value: unknown, at: string): Record<string, unknown> {
  if (isObject(value)) return value;
  invalidQuery(at, at === "" ? "A filter must be an object." : `${at} must be an object.`);
}
