import type { Append, Increment } from "./field-operator.ts";

/** An operator that needs no arithmetic of decimals. */
export type PlainOperator = Increment | Append;

/** Returns the operand of an operator; undefined if the value is not this operator. */
export function operandOf(value: unknown, name: "$increment" | "$append"): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  const [entry, ...others] = Object.entries(value);
  return entry?.[0] === name && others.length === 0 ? entry[1] : undefined;
}

/** Returns the operator in place of the value of a field of an unknown kind. */
export function plainOperatorOf(value: unknown): PlainOperator | undefined {
  const amount = operandOf(value, "$increment");
  if (typeof amount === "number" && Number.isFinite(amount)) return { $increment: amount };
  const items = operandOf(value, "$append");
  return Array.isArray(items) ? { $append: items } : undefined;
}

/** Applies an operator to the stored value. The result may exceed the limits of the field. */
export function applyPlainOperator(operator: PlainOperator, current: unknown): unknown {
  if ("$increment" in operator)
    return (typeof current === "number" ? current : 0) + operator.$increment;
  return [...(Array.isArray(current) ? (current as readonly unknown[]) : []), ...operator.$append];
}
