/** Variables of an environment, by name. */
type Env = Readonly<Record<string, string | undefined>>;

/** The server's environment, as functions see it. */
export class FunctionEnv {
  readonly #env: Env;
  readonly #secretNames: () => ReadonlySet<string>;
  #shared: { readonly without: ReadonlySet<string>; readonly env: Env } | null = null;

  /**
   * @param env without the server's own secrets
   * @param secretNames what the app's functions declare as secrets
   */
  constructor(env: Env, secretNames: () => ReadonlySet<string>) {
    this.#env = env;
    this.#secretNames = secretNames;
  }

  /** What all functions see as `ctx.env`: a declared secret is for those alone that declare it. */
  get shared(): Env {
    const without = this.#secretNames();
    if (this.#shared?.without !== without) {
      const entries = Object.entries(this.#env).filter(([name]) => !without.has(name));
      this.#shared = { without, env: without.size === 0 ? this.#env : Object.fromEntries(entries) };
    }
    return this.#shared.env;
  }

  /** Those of the declared variables that are set. */
  secrets(declared: readonly string[] = []): Readonly<Record<string, string>> {
    const entries = declared.map((name) => [name, this.#env[name] ?? ""] as const);
    return Object.fromEntries(entries.filter(([, value]) => value !== ""));
  }
}

/** The variables that functions declare as secrets. */
export function secretNamesOf(
  functions: Iterable<{ readonly secrets?: readonly string[] }>,
): ReadonlySet<string> {
  return new Set([...functions].flatMap(({ secrets = [] }) => secrets));
}

/**
 * What a function sees as `ctx.secrets`: the variables that it declares.
 *
 * @param values of those that are set
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
