/** An environment variable. Its table defines the parser and docs/configuration.md. */
export interface Variable<T> {
  /** The expected value, for messages and the docs. */
  readonly wants: string;
  readonly doc: string;
  /** The value if it is not set. */
  readonly fallback: T;
  /** The value if it is not set in dev mode, if that differs. */
  readonly devFallback?: T;
  /** Its value is never shown. */
  readonly secret?: boolean;
  /** @throws any error if the text is not valid */
  readonly parse: (text: string) => T;
}

/** Defines one entry of a table, with the type of its value. */
export function variable<T>(definition: Variable<T>): Variable<T> {
  return definition;
}

/** Returns the value of a variable that is not set. */
export function defaultOf<T>({ fallback, devFallback }: Variable<T>, dev: boolean): T {
  return dev && devFallback !== undefined ? devFallback : fallback;
}

/** Returns the parsed value, or one sentence about the problem. */
export function parseVariable<T>(
  name: string,
  { parse, secret = false, wants }: Variable<T>,
  value: string,
): { readonly value: T } | { readonly problem: string } {
  try {
    return { value: parse(value) };
  } catch {
    const shown = secret ? "invalid" : JSON.stringify(value);
    return { problem: `${name} is ${shown}: expected ${wants}.` };
  }
}
