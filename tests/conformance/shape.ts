/** A condition on a value, with the label that a table shows for it. */
export class Matcher {
  readonly accepts: (value: unknown) => boolean;
  readonly #label: string;
  readonly #inner: Shape | undefined;

  /** @param inner the shape that the label refers to */
  constructor(label: string, accepts: (value: unknown) => boolean, inner?: Shape) {
    this.accepts = accepts;
    this.#label = `<${label}>`;
    this.#inner = inner;
  }

  toJSON(): unknown {
    return this.#inner === undefined ? this.#label : { [this.#label]: this.#inner };
  }
}

/**
 * A literal value, a matcher, a list with one shape per item, or an object with the keys that the
 * value must have at least.
 */
export type Shape =
  | Matcher
  | string
  | number
  | boolean
  | null
  | readonly Shape[]
  | { readonly [key: string]: Shape };

export type Fields = Readonly<Record<string, unknown>>;

export const text = new Matcher("text", (value) => typeof value === "string" && value !== "");
export const number = new Matcher("number", (value) => typeof value === "number");
export const anything = new Matcher("anything", (value) => value !== undefined);
export const absent = new Matcher("absent", (value) => value === undefined);
export const time = new Matcher(
  "ISO 8601 time",
  (value) =>
    typeof value === "string" &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value) &&
    !Number.isNaN(Date.parse(value)),
);

export function matching(pattern: RegExp): Matcher {
  return new Matcher(
    `text like ${pattern}`,
    (value) => typeof value === "string" && pattern.test(value),
  );
}

/** Matches a list with at least one such item. */
export function holding(shape: Shape): Matcher {
  return new Matcher(
    "list with",
    (value) => Array.isArray(value) && value.some((item) => fits(item, shape)),
    shape,
  );
}

/** Matches an object with exactly these keys. */
export function exactly(shape: { readonly [key: string]: Shape }): Matcher {
  return new Matcher(
    "exactly",
    (value) =>
      isFields(value) &&
      Object.keys(value).every((key) => Object.hasOwn(shape, key)) &&
      fits(value, shape),
    shape,
  );
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function fits(value: unknown, shape: Shape): boolean {
  if (shape instanceof Matcher) return shape.accepts(value);
  if (isList(shape))
    return (
      Array.isArray(value) &&
      value.length === shape.length &&
      shape.every((item, at) => fits(value[at], item))
    );
  if (typeof shape === "object" && shape !== null)
    return isFields(value) && Object.entries(shape).every(([key, own]) => fits(value[key], own));
  return Object.is(value, shape);
}

function isList(shape: Shape): shape is readonly Shape[] {
  return Array.isArray(shape);
}

const MAX_SHOWN = 400;

/** A failed check: the expected and the actual value. */
export class Mismatch extends Error {
  readonly expected: string;
  readonly got: string;

  constructor(expected: unknown, got: unknown) {
    const [wanted, came] = [shown(expected), shown(got)];
    super(`Expected ${wanted}, got ${came}.`);
    this.expected = wanted;
    this.got = came;
  }
}

/** @throws Mismatch */
export function expectShape(value: unknown, shape: Shape): void {
  if (!fits(value, shape)) throw new Mismatch(shape, value);
}

function shown(value: unknown): string {
  const whole = typeof value === "string" ? value : (JSON.stringify(value) ?? "nothing");
  return whole.length > MAX_SHOWN ? `${whole.slice(0, MAX_SHOWN)}...` : whole;
}
