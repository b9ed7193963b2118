import { addDecimals, normaliseDecimal } from "./decimal.ts";
import type { FieldKind } from "./field-kinds.ts";
import { applyPlainOperator, operandOf, plainOperatorOf } from "./plain-operator.ts";

/**
 * Adds to the number stored when the write is committed; null counts as 0. A decimal is given as
 * text, and the sum is exact.
 *
 * @example
 * const liked: Increment = { $increment: 1 };
 * const paid: Increment<string> = { $increment: "-12.50" };
 */
export interface Increment<Amount extends number | string = number> {
  readonly $increment: Amount;
}

/**
 * Adds items to the end of the array stored when the write is committed; null counts as empty.
 *
 * @example
 * const tagged: Append<string> = { $append: ["urgent"] };
 */
export interface Append<Item = unknown> {
  readonly $append: readonly Item[];
}

/** A change of the stored value, which an update contains in place of a field's value. */
export type FieldOperator = Increment<number | string> | Append;

/** The operator of each kind of field that has one. */
const OPERATORS: Partial<Record<FieldKind, "$increment" | "$append">> = {
  int: "$increment",
  float: "$increment",
  decimal: "$increment",
  array: "$append",
};

/**
 * Returns the operator in place of a field's value. A json field can hold any object, so there it
 * is an ordinary value.
 *
 * @param kind the kind of the field
 * @returns undefined if it is not an operator of this kind of field
 */
export function fieldOperatorOf(kind: FieldKind, value: unknown): FieldOperator | undefined {
  const name = OPERATORS[kind];
  const operand = name === undefined ? undefined : operandOf(value, name);
  if (name === undefined || operand === undefined) return undefined;
  if (kind === "decimal") {
    const amount = normaliseDecimal(operand);
    return amount === undefined ? undefined : { $increment: amount };
  }
  const operator = plainOperatorOf(value);
  return kind !== "int" || Number.isSafeInteger(operand) ? operator : undefined;
}

/**
 * Returns the changed value. It is not checked: a sum may be outside the field's bounds.
 *
 * @param current the stored value
 */
export function applyFieldOperator(operator: FieldOperator, current: unknown): unknown {
  if ("$append" in operator) return applyPlainOperator(operator, current);
  const { $increment: amount } = operator;
  return typeof amount === "string"
    ? addDecimals(normaliseDecimal(current) ?? "0", amount)
    : applyPlainOperator({ $increment: amount }, current);
}

/** How an operator of this kind of field is written; undefined if there is none. */
export function fieldOperatorHint(kind: FieldKind): string | undefined {
  const name = OPERATORS[kind];
  if (name === undefined) return undefined;
  if (name === "$append") return 'Send the whole list, or {"$append": [item, ...]} in an update.';
  if (kind === "decimal") return 'Send a string, or {"$increment": "12.50"} in an update.';
  return kind === "int"
    ? 'Send a whole number, or {"$increment": n} with one in an update.'
    : 'Send a number, or {"$increment": n} in an update.';
}
