/** A row that a rule refers to: the row of the policy, or a row of an `exists`. */
export interface NamedRow {
  /** `data` or `old`; undefined for a row of an `exists`, whose name depends on its position. */
  readonly root?: "data" | "old";
}

/** The position of a term: the rows of the enclosing `exists`, the innermost last. */
export interface Place {
  readonly rows: readonly NamedRow[];
  /** The names of rows that a nested `exists` refers to. */
  readonly names: Map<NamedRow, string>;
}

type Base<T> = T extends string
  ? string
  : T extends number
    ? number
    : T extends boolean
      ? boolean
      : T;

/** The value that a term is compared with: a value of its type, or another term. */
export type Operand<T> = T | Term<Base<T>>;

/** A boolean expression. */
export type Condition = Term<boolean>;

/**
 * Part of a rule: a value of a row or of the caller, or a condition. It is compiled to the text of
 * the policy.
 */
export class Term<T> {
  /** Never set at runtime; carries the type. */
  declare readonly type: T;
  readonly #write: (place: Place) => string;

  constructor(write: (place: Place) => string) {
    this.#write = write;
  }

  /** Returns the term in the policy language, at this position. */
  write(place: Place): string {
    return this.#write(place);
  }

  /** Equal to `other`. A null value equals nothing except a literal `null`. */
  eq(other: Operand<T> | null): Condition {
    return this.#compared("==", other);
  }
  /** The opposite of `eq`. */
  ne(other: Operand<T> | null): Condition {
    return this.#compared("!=", other);
  }
  lt(other: Operand<T>): Condition {
    return this.#compared("<", other);
  }
  lte(other: Operand<T>): Condition {
    return this.#compared("<=", other);
  }
  gt(other: Operand<T>): Condition {
    return this.#compared(">", other);
  }
  gte(other: Operand<T>): Condition {
    return this.#compared(">=", other);
  }
  /** One of these values, or an element of a list of the caller, such as `auth.roles`. */
  in(list: readonly T[] | Term<readonly Base<T>[]>): Condition {
    return new Term((place) => {
      const items =
        list instanceof Term
          ? list.write(place)
          : `[${list.map((item) => writeValue(item)).join(", ")}]`;
      return `${this.write(place)} in ${items}`;
    });
  }
  /** The string contains this substring, case-sensitively. */
  contains(this: Term<string>, part: Operand<string>): Condition {
    return new Term((place) => `${this.write(place)} contains ${written(part, place)}`);
  }

  #compared(op: string, other: unknown): Condition {
    return new Term((place) => `${this.write(place)} ${op} ${written(other, place)}`);
  }
}

/** The value of a field of a row. */
export function fieldOf<T>(row: NamedRow, name: string): Term<T> {
  return new Term(({ rows, names }) => {
    if (row.root !== undefined) return `${row.root}.${name}`;
    if (rows.at(-1) === row) return name;
    if (!rows.includes(row))
      throw new Error(`The field ${name} is used outside the exists() of its row.`);
    const known = names.get(row) ?? `row${rows.indexOf(row) + 1}`;
    names.set(row, known);
    return `${known}.${name}`;
  });
}

/** A row of the entity satisfies the condition. */
export function existsOf(entity: string, row: NamedRow, where: Condition | boolean): Condition {
  return new Term(({ rows, names }) => {
    const condition = written(where, { rows: [...rows, row], names });
    const name = names.get(row);
    return `exists(${entity}${name === undefined ? "" : ` as ${name}`}, ${condition})`;
  });
}

/** Returns a term or a value as policy text. @throws Error for an unsupported value */
export function written(operand: unknown, place: Place): string {
  return operand instanceof Term ? operand.write(place) : writeValue(operand);
}

function writeValue(value: unknown): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (value instanceof Date) return writeText(value.toISOString());
  if (typeof value === "string") return writeText(value);
  if (typeof value === "number" && /^-?\d+(?:\.\d+)?$/.test(String(value))) return String(value);
  throw new Error(
    `A policy may contain strings, numbers, true, false and null, not ${String(value)}.`,
  );
}

function writeText(text: string): string {
  const escaped = text.replaceAll(/[\p{Cc}"\\]/gu, (letter) =>
    letter === '"' || letter === "\\"
      ? `\\${letter}`
      : `\\u${(letter.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
  return `"${escaped}"`;
}
