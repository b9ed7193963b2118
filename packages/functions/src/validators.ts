import { MAX_DECIMAL_SCALE, MAX_DECIMAL_WHOLE, nearest } from "@pylonsync/query";

/** A validator: plain data, which the server checks values against and tools can read. */
export interface Validator<T = unknown, O extends boolean = boolean> {
  readonly type:
    | "string"
    | "number"
    | "int"
    | "boolean"
    | "id"
    | "datetime"
    | "decimal"
    | "null"
    | "array"
    | "object"
    | "union"
    | "literal"
    | "any";
  readonly optional?: O;
  readonly table?: string;
  readonly items?: Validator;
  readonly fields?: Readonly<Record<string, Validator>>;
  /**
   * For an object: keys that `fields` does not declare are accepted. Default: they are rejected.
   */
  readonly loose?: true;
  readonly variants?: readonly Validator[];
  /** For a decimal: the maximum number of digits in total. */
  readonly precision?: number;
  /** For a decimal: the maximum number of digits after the decimal point. */
  readonly scale?: number;
  readonly value?: string | number | boolean | null;
  /** Never set at runtime; carries the type. */
  readonly __type?: T;
}

/** Validators by the names of an object's fields. */
export type Shape = Readonly<Record<string, Validator>>;

/** The type of the values that a validator accepts. */
export type Infer<V> = V extends { readonly __type?: infer T } ? T : never;

type OptionalKeys<S extends Shape> = {
  [K in keyof S]: S[K] extends Validator<unknown, true> ? K : never;
}[keyof S];

/** The type of an object with these validators. */
export type InferShape<S extends Shape> = {
  [K in Exclude<keyof S, OptionalKeys<S>>]: Infer<S[K]>;
} & { [K in OptionalKeys<S>]?: Infer<S[K]> } extends infer O
  ? { [K in keyof O]: O[K] }
  : never;

/** The type of the arguments of a function that declares them as a shape or as one validator. */
export type InferArgs<A> = A extends Shape ? InferShape<A> : Infer<A>;

type Required<T> = Validator<T, false>;

function make<T>(validator: Omit<Required<T>, "__type">): Required<T> {
  return validator;
}

function isDigits(precision: unknown, scale: unknown): boolean {
  if (typeof precision !== "number" || typeof scale !== "number") return false;
  if (!Number.isInteger(precision) || !Number.isInteger(scale)) return false;
  const whole = precision - scale;
  return (
    scale >= 0 &&
    scale <= MAX_DECIMAL_SCALE &&
    whole >= 0 &&
    whole <= MAX_DECIMAL_WHOLE &&
    precision > 0
  );
}

/** Throws for an unknown validator, and suggests the closest one. */
function withSuggestions<V extends object>(validators: V): V {
  return new Proxy(validators, {
    get(target, name, receiver) {
      if (typeof name !== "string" || name in target || name === "then" || name === "toJSON")
        return Reflect.get(target, name, receiver);
      const known = Object.keys(target);
      const meant = nearest(name, known);
      const hint =
        meant === undefined ? `Known: ${known.join(", ")}.` : `Did you mean v.${meant}()?`;
      throw new Error(`There is no v.${name}(). ${hint}`);
    },
  });
}

/**
 * The validators for a function's arguments and result.
 *
 * @example
 * export default mutation({
 *   args: { title: v.string(), due: v.optional(v.datetime()) },
 *   returns: v.string(),
 *   handler: (ctx, { title }) => ctx.db.insert("Todo", { title }),
 * });
 */
export const v = withSuggestions({
  string: () => make<string>({ type: "string" }),
  richtext: () => make<string>({ type: "string" }),
  /** An ISO 8601 date, or date and time, that exists: 2026-02-30 does not. */
  datetime: () => make<string>({ type: "datetime" }),
  /**
   * An exact decimal number as a string, such as `"12.50"`, for a `field.decimal(precision,
   * scale)`.
   *
   * @param precision the maximum number of digits in total; default 36
   * @param scale the maximum number of digits after the decimal point, at most 18; default 18
   * @throws Error for numbers of digits that no decimal field supports
   * @example v.decimal(12, 2)
   */
  decimal: (precision?: number, scale?: number) => {
    if (precision === undefined && scale === undefined) return make<string>({ type: "decimal" });
    if (!isDigits(precision, scale))
      throw new Error(
        "v.decimal() takes the digits of a field.decimal(): write v.decimal(12, 2), with at most " +
          "18 digits on each side of the decimal point.",
      );
    return make<string>({ type: "decimal", precision, scale });
  },
  number: () => make<number>({ type: "number" }),
  float: () => make<number>({ type: "number" }),
  /** An integer within JavaScript's safe range. */
  int: () => make<number>({ type: "int" }),
  boolean: () => make<boolean>({ type: "boolean" }),
  bool: () => make<boolean>({ type: "boolean" }),
  /** The id of a row. */
  id: (table: string) => make<string>({ type: "id", table }),
  null: () => make<null>({ type: "null" }),
  any: () => make<unknown>({ type: "any" }),
  array: <V extends Validator>(items: V) => make<Infer<V>[]>({ type: "array", items }),
  /** An object with these fields; any other key is rejected. */
  object: <S extends Shape>(fields: S) => make<InferShape<S>>({ type: "object", fields }),
  /** An object with at least these fields; other keys are passed on unchecked. */
  looseObject: <S extends Shape>(fields: S) =>
    make<InferShape<S> & { readonly [key: string]: unknown }>({
      type: "object",
      fields,
      loose: true,
    }),
  union: <V extends readonly Validator[]>(...variants: V) =>
    make<Infer<V[number]>>({ type: "union", variants }),
  literal: <const L extends string | number | boolean | null>(value: L) =>
    make<L>({ type: "literal", value }),
  /** Accepts `null` and what `inner` accepts. */
  nullable: <V extends Validator>(inner: V) =>
    make<Infer<V> | null>({ type: "union", variants: [inner, { type: "null" }] }),
  /** May be absent. `null` is not absent: use `v.optional(v.nullable(...))` to accept both. */
  optional: <V extends Validator>(inner: V): Validator<Infer<V> | undefined, true> => {
    const data: Omit<Validator, "__type"> = inner;
    return { ...data, optional: true };
  },
} as const);
