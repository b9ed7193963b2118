import type { Field } from "../model.ts";
import { parseEntered, parseJson, type Entered } from "./field-value.ts";

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
  for (const condition of conditions) {
    const { field, operator } = condition;
    const read = readCondition(condition, fields);
    if ("value" in read) filter.set(field, { ...filter.get(field), [operator]: read.value });
  }
  return Object.fromEntries(filter);
}

/** Says why a condition does not filter; null if it does, or if its value is not entered yet. */
export function conditionProblem(condition: Condition, fields: readonly Field[]): string | null {
  const read = readCondition(condition, fields);
  return "problem" in read && condition.text !== "" ? read.problem : null;
}

/** Returns the value of a condition. */
function readCondition(
  { field: name, operator, text }: Condition,
  fields: readonly Field[],
): Entered {
  const field = fields.find((candidate) => candidate.name === name);
  if (field === undefined) return { problem: `There is no field ${name}.` };
  if (!isFilterable(field)) return { problem: `Rows can't be filtered by ${name}.` };
  return operator === "$in" ? listOf(text, field) : valueOf(text, field);
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

/** The order of a list. */
export interface Order {
  readonly field: string;
  readonly direction: "asc" | "desc";
}

/**
 * Returns the order in an address. Without one, or if the field was removed, the newest rows come
 * first: ids grow with time.
 */
export function orderOf(query: URLSearchParams, fields: readonly Field[]): Order {
  const [name = "", direction] = (query.get("order") ?? "").split(" ");
  const field = fields.find((candidate) => candidate.name === name);
  if (field === undefined || !isFilterable(field)) return { field: "id", direction: "desc" };
  return { field: name, direction: direction === "asc" ? "asc" : "desc" };
}

function isOperator(text: string): text is Operator {
  return Object.hasOwn(OPERATORS, text);
}

/** An empty value finds the rows without one. */
function valueOf(text: string, field: Field): Entered {
  return text === "" && field.optional ? { value: null } : parseEntered(text, field);
}

/** Reads values between commas, or a JSON list, in which a text may contain commas. */
function listOf(text: string, field: Field): Entered {
  if (text.startsWith("[")) return parseJson(text);
  if (text.trim() === "") return { problem: "Enter values, with commas between them." };
  const values: unknown[] = [];
  for (const item of text.split(",")) {
    const entered = valueOf(item.trim(), field);
    if ("problem" in entered) return entered;
    values.push(entered.value);
  }
  return { value: values };
}
