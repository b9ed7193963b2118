import type { Field } from "../model.ts";
import { parseEntered, parseJson } from "./field-value.ts";

/** A condition on one field, as it is entered. */
export interface Condition {
  readonly field: string;
  readonly operator: Operator;
  readonly text: string;
}

/** How a field is compared, by the operator of a filter. */
export const OPERATORS = {
  $eq: "is",
  $ne: "is not",
  $gt: "greater than",
  $gte: "at least",
  $lt: "less than",
  $lte: "at most",
  $ilike: "contains",
  $startsWith: "starts with",
  $in: "is one of",
} as const;
/** An operator of a filter. */
export type Operator = keyof typeof OPERATORS;

const ORDERED: readonly Operator[] = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in"];
const TEXT: readonly Operator[] = ["$eq", "$ne", "$ilike", "$startsWith", "$in"];

/** Returns the operators that make sense for a field. */
export function operatorsOf({ type }: Pick<Field, "type">): readonly Operator[] {
  if (type === "bool") return ["$eq", "$ne"];
  return type === "string" || type === "richtext" || type.startsWith("id(") ? TEXT : ORDERED;
}

/** Whether rows can be filtered and ordered by the field. */
export function isFilterable({ type, hidden }: Pick<Field, "type" | "hidden">): boolean {
  return hidden !== true && !["json", "array", "encrypted", "file"].includes(type);
}

/**
 * Returns the filter of all conditions together. A condition whose text is not a value of its
 * field's type is left out: it is not complete yet.
 */
export function filterOf(
  conditions: readonly Condition[],
  fields: readonly Field[],
): Record<string, Record<string, unknown>> {
  const filter = new Map<string, Record<string, unknown>>();
  for (const { field: name, operator, text } of conditions) {
    const field = fields.find((candidate) => candidate.name === name);
    if (field === undefined || !isFilterable(field)) continue;
    const value = operator === "$in" ? listOf(text, field) : valueOf(text, field);
    if (value === undefined) continue;
    filter.set(name, { ...filter.get(name), [operator]: value });
  }
  return Object.fromEntries(filter);
}

/** Returns the conditions in an address; unknown ones are left out. */
export function readConditions(query: URLSearchParams): Condition[] {
  return query.getAll("where").flatMap((text) => {
    const [field = "", operator = "", ...rest] = text.split(" ");
    return isOperator(operator) ? [{ field, operator, text: rest.join(" ") }] : [];
  });
}

/** Replaces the conditions in an address. */
export function writeConditions(
  query: URLSearchParams,
  conditions: readonly Condition[],
): URLSearchParams {
  const next = new URLSearchParams(query);
  next.delete("where");
  for (const { field, operator, text } of conditions)
    next.append("where", `${field} ${operator} ${text}`);
  return next;
}

function isOperator(text: string): text is Operator {
  return Object.hasOwn(OPERATORS, text);
}

/** An empty value finds the rows without one. */
function valueOf(text: string, field: Field): unknown {
  if (text === "" && field.optional) return null;
  const entered = parseEntered(text, field);
  return "problem" in entered ? undefined : entered.value;
}

/** Reads values between commas, or a JSON list, in which a text may contain commas. */
function listOf(text: string, field: Field): unknown[] | undefined {
  if (text.startsWith("[")) {
    const entered = parseJson(text);
    return "value" in entered && Array.isArray(entered.value) ? entered.value : undefined;
  }
  const values = text.split(",").map((item) => valueOf(item.trim(), field));
  return text.trim() === "" || values.includes(undefined) ? undefined : values;
}
