/** One environment variable: its table is both the parser and docs/configuration.md. */
export interface Variable<T> {
  /** What it holds, for messages and the docs. */
  readonly wants: string;
  readonly doc: string;
  /** When it is not set. */
  readonly fallback: T;
  /** When it is not set in dev mode, where that differs. */
  readonly devFallback?: T;
  /** Its value is never shown. */
  readonly secret?: boolean;
  /** @throws anything when the text is not what it wants */
  readonly parse: (text: string) => T;
}

/** One row of a table, of which the value's type is known. */
export function variable<T>(definition: Variable<T>): Variable<T> {
  return definition;
}

/** The value of a variable that is not set. */
export function defaultOf<T>({ fallback, devFallback }: Variable<T>, dev: boolean): T {
  return dev && devFallback !== undefined ? devFallback : fallback;
}

/** The value of the text, or one sentence about what is wrong with it. */
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
