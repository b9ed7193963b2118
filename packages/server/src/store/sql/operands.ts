import {
  normaliseDatetime,
  normaliseDecimal,
  type CompareOp,
  type FieldKind,
  type LiteralExpr,
} from "@pylonsync/query";

/** The classes of values that can be compared with each other. */
export type OperandClass = "text" | "number" | "decimal" | "bool" | "datetime" | "nested" | "null";

const CLASSES: Record<FieldKind, OperandClass> = {
  string: "text",
  richtext: "text",
  id: "text",
  int: "number",
  float: "number",
  decimal: "decimal",
  bool: "bool",
  datetime: "datetime",
  json: "nested",
  array: "nested",
  encrypted: "nested",
};
const MIRRORED: Record<CompareOp, CompareOp> = {
  "==": "==",
  "!=": "!=",
  "<": ">",
  "<=": ">=",
  ">": "<",
  ">=": "<=",
};
/** Greater than every stored int, and representable as an integer in every database. */
const MAX_EXACT = 2 ** 53;

/** The class of values with which values of this kind can be compared. */
export function classOf(kind: FieldKind): OperandClass {
  return CLASSES[kind];
}

/** The operator for the same comparison with its sides exchanged. */
export function mirrored(op: CompareOp): CompareOp {
  return MIRRORED[op];
}

/**
 * The literal in the form in which it is compared with a column of this kind. Databases convert
 * values that JavaScript distinguishes (`'1' = 1`), or reject them, so values that can't be equal
 * are never sent to them.
 *
 * @returns undefined if no value of the column equals it or can be ordered relative to it
 */
export function literalFor(kind: FieldKind, { value }: LiteralExpr): LiteralExpr | undefined {
  switch (CLASSES[kind]) {
    case "text":
      return typeof value === "string" && isStorable(value)
        ? { kind: "literal", value }
        : undefined;
    case "number":
      return typeof value === "number" && !Number.isNaN(value)
        ? { kind: "literal", value }
        : undefined;
    case "decimal": {
      const decimal = normaliseDecimal(value);
      return decimal === undefined ? undefined : { kind: "literal", value: decimal };
    }
    case "bool":
      return typeof value === "boolean" ? { kind: "literal", value } : undefined;
    case "nested":
      return undefined;
    default: {
      const date = typeof value === "string" ? normaliseDatetime(value) : undefined;
      return date === undefined ? undefined : { kind: "literal", value: date };
    }
  }
}

/**
 * A comparison with an int column, expressed with an integer: `n < 1.5` is `n <= 1`. Undefined if
 * no value is equal.
 */
export function intComparison(
  op: CompareOp,
  value: number,
): { readonly op: CompareOp; readonly value: number } | undefined {
  if (Math.abs(value) > MAX_EXACT)
    return op === "==" || op === "!="
      ? undefined
      : { op, value: value < 0 ? -MAX_EXACT : MAX_EXACT };
  if (Number.isInteger(value)) return { op, value };
  if (op === "==" || op === "!=") return undefined;
  return op === "<" || op === "<="
    ? { op: "<=", value: Math.floor(value) }
    : { op: ">=", value: Math.ceil(value) };
}

/**
 * A comparison with a text column, expressed with a text that a database can store: no stored text
 * contains a NUL, so `a < "x\0y"` is `a <= "x"`.
 */
export function textComparison(
  op: CompareOp,
  value: string,
): { readonly op: CompareOp; readonly value: string } | undefined {
  if (isStorable(value)) return { op, value };
  if (op === "==" || op === "!=") return undefined;
  const end = value.indexOf("\0");
  if (end === -1) return { op, value: value.toWellFormed() };
  return { op: op === "<" || op === "<=" ? "<=" : ">", value: value.slice(0, end).toWellFormed() };
}

/** Whether a row can contain this text: normaliseValue rejects all others. */
export function isStorable(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}

/**
 * Repeats the last item up to a power of two, so that lists of many lengths share few statements.
 */
export function padded<T>(items: readonly T[]): readonly T[] {
  const last = items.at(-1);
  if (last === undefined) return items;
  const size = 2 ** Math.ceil(Math.log2(items.length));
  return [...items, ...Array.from({ length: size - items.length }, () => last)];
}
