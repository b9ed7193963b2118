/** Environment variables by name. */
type Env = Readonly<Record<string, string | undefined>>;

/** The server's environment, as functions see it. */
export class FunctionEnv {
  readonly #env: Env;
  readonly #secretNames: () => ReadonlySet<string>;
  #shared: { readonly without: ReadonlySet<string>; readonly env: Env } | null = null;

  /**
   * @param env the environment without the server's own secrets
   * @param secretNames returns the names of the secrets that the app's functions declare
   */
  constructor(env: Env, secretNames: () => ReadonlySet<string>) {
    this.#env = env;
    this.#secretNames = secretNames;
  }

  /**
   * `ctx.env`, which all functions share. A declared secret is only visible to the functions that
   * declare it.
   */
  get shared(): Env {
    const without = this.#secretNames();
    if (this.#shared?.without !== without) {
      const entries = Object.entries(this.#env).filter(([name]) => !without.has(name));
      this.#shared = { without, env: without.size === 0 ? this.#env : Object.fromEntries(entries) };
    }
    return this.#shared.env;
  }

  /** Returns the declared variables that are set. */
  secrets(declared: readonly string[] = []): Readonly<Record<string, string>> {
    const entries = declared.map((name) => [name, this.#env[name] ?? ""] as const);
    return Object.fromEntries(entries.filter(([, value]) => value !== ""));
  }
}

/** Returns the variables that functions declare as secrets. */
export function secretNamesOf(
  functions: Iterable<{ readonly secrets?: readonly string[] }>,
): ReadonlySet<string> {
  return new Set([...functions].flatMap(({ secrets = [] }) => secrets));
}

/**
 * Returns `ctx.secrets` of a function: the variables that it declares.
 *
 * @param values the values of the declared variables that are set
 */
export function secretsOf(
  name: string,
  declared: readonly string[],
  values: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return new Proxy(Object.freeze<Record<string, string>>({}), {
    get: (target, key) => {
      if (typeof key !== "string") return Reflect.get(target, key);
      if (!declared.includes(key))
        throw new TypeError(`"${name}" does not declare the secret ${key}: secrets: ["${key}"].`);
      const value = values[key];
      if (value !== undefined) return value;
      throw new Error(`The secret ${key} of "${name}" is not set in the server's environment.`);
    },
    has: (_target, key) => typeof key === "string" && declared.includes(key),
    ownKeys: () => [],
  });
}
