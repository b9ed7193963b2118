/**
 * A type guard for a value. Messages of servers are checked with guards, which need a fortieth of
 * the bytes of schemas; schemas describe the problem, which readers of a server's messages do not
 * need.
 */
export type Guard<T> = (value: unknown) => value is T;

/** The type that a guard accepts. */
export type Guarded<G> = G extends Guard<infer T> ? T : never;

type Guards = Readonly<Record<string, Guard<unknown>>>;
type Flat<T> = { [K in keyof T]: T[K] };

/** Accepts anything; the key must be present. */
export const isUnknown: Guard<unknown> = (_value): _value is unknown => true;
/** Accepts a string. */
export const isString: Guard<string> = (value) => typeof value === "string";
/** Accepts a number. */
export const isNumber: Guard<number> = (value) => typeof value === "number";
/** Accepts a boolean. */
export const isBoolean: Guard<boolean> = (value) => typeof value === "boolean";
/** Accepts a safe integer from 0. */
export const isCount: Guard<number> = (value): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

/** Accepts one of these values. */
export function oneOf<const T>(...values: readonly T[]): Guard<T> {
  return (value): value is T => values.some((one) => one === value);
}

/** Accepts what one of the guards accepts. */
export function anyOf<G extends readonly Guard<unknown>[]>(
  ...guards: G
): Guard<Guarded<G[number]>> {
  return (value): value is Guarded<G[number]> => guards.some((guard) => guard(value));
}

/** Accepts a list of values that the guard accepts. */
export function arrayOf<T>(guard: Guard<T>): Guard<T[]> {
  return (value): value is T[] => Array.isArray(value) && value.every(guard);
}

/** Accepts an object with values of one type, with any keys. */
export function mapOf<T>(guard: Guard<T>): Guard<Record<string, T>> {
  return (value): value is Record<string, T> =>
    isObject(value) && !Array.isArray(value) && Object.values(value).every(guard);
}

/**
 * Accepts an object with these keys, and possibly others: a newer server may send more.
 *
 * @param optional guards of keys that may be absent
 * @example
 * const isPoint = objectOf({ x: isNumber, y: isNumber }, { label: isString });
 */
export function objectOf<R extends Guards, O extends Guards = Record<never, never>>(
  required: R,
  optional?: O,
): Guard<Flat<{ [K in keyof R]: Guarded<R[K]> } & { [K in keyof O]?: Guarded<O[K]> | undefined }>> {
  const needed = Object.entries(required);
  const allowed = Object.entries(optional ?? {});
  return (value): value is never =>
    isObject(value) &&
    needed.every(([key, guard]) => key in value && guard(value[key])) &&
    allowed.every(([key, guard]) => value[key] === undefined || guard(value[key]));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
