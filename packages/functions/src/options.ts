/**
 * Which external callers may call a function.
 * - `"public"`: everyone; the default
 * - `"user"`: signed-in users, including guests
 * - `"admin"`: only the admin
 * - `{ roles: [...] }`: users with one of these roles
 * - any other string is a policy over `auth.`, the arguments as `input.`, and rows with
 *   `exists(...)`
 *
 * The admin may call everything.
 */
export type FunctionAuth =
  | "public"
  | "user"
  | "admin"
  | (string & Record<never, never>)
  | { readonly roles: readonly string[] };

/** A limit on external calls of a function, in place of the server's own limit. */
export interface FunctionRateLimit {
  /** The maximum number of calls within the window, from 1. */
  readonly max: number;
  /** The window in seconds, from 1 to 86,400. */
  readonly windowSecs: number;
  /**
   * What is counted separately: each `user` (default; for anonymous callers each network), each
   * `address`, or `all` calls together.
   */
  readonly by?: "user" | "address" | "all";
}

/** The options of every type of function, besides arguments and handler. */
export interface FunctionOptions {
  /** The function can't be called from outside, only from actions, jobs and workflows. */
  readonly internal?: boolean;
  /**
   * Which external callers may call it. Checked before the arguments; a policy is checked after
   * them.
   */
  readonly auth?: FunctionAuth;
  readonly rateLimit?: FunctionRateLimit;
  /** The timeout of a call, in seconds, at most 3600; overrides PYLON_FN_CALL_TIMEOUT. */
  readonly timeoutSecs?: number;
}

const MAX_SECONDS = 3600;
const MAX_WINDOW_SECONDS = 86_400;
const MAX_CALLS = 1_000_000;
const COUNTED_BY: readonly unknown[] = ["user", "address", "all"];

/**
 * Checks the options of a function when it is defined. For tools that load functions, such as the
 * server.
 *
 * @throws TypeError that names the problem; `pylon dev` shows it with the file
 *
 * @example
 * checkFunctionOptions({ auth: "user", timeoutSecs: 60 });
 */
export function checkFunctionOptions(options: object): void {
  const { internal, isolate, auth, rateLimit, timeoutSecs, middleware, secrets }: Loose = {
    ...options,
  };
  if (internal !== undefined && typeof internal !== "boolean")
    throw new TypeError("internal must be true or false.");
  if (isolate !== undefined && typeof isolate !== "boolean")
    throw new TypeError("isolate must be true or false.");
  checkAuth(auth);
  checkRateLimit(rateLimit);
  if (timeoutSecs !== undefined && !isWithin(timeoutSecs, 0.001, MAX_SECONDS))
    throw new TypeError(`timeoutSecs must be a number of seconds, up to ${MAX_SECONDS}.`);
  const isFunction = (part: unknown): boolean => typeof part === "function";
  if (middleware !== undefined && !(Array.isArray(middleware) && middleware.every(isFunction)))
    throw new TypeError("middleware must be a list of results of `middleware`.");
  if (secrets !== undefined && !isTexts(secrets))
    throw new TypeError(
      'secrets must be a list of names of environment variables: ["STRIPE_SECRET"].',
    );
}

type Loose = Readonly<Record<string, unknown>>;

function checkAuth(auth: unknown): void {
  if (auth === undefined || (typeof auth === "string" && auth.trim() !== "")) return;
  const instead = 'auth must be "public", "user", "admin", { roles: [...] } or a policy.';
  if (typeof auth !== "object" || auth === null) throw new TypeError(instead);
  const { roles, ...others }: Loose = { ...auth };
  const [other] = Object.keys(others);
  if (other !== undefined) throw new TypeError(`auth has no option "${other}". ${instead}`);
  if (!isTexts(roles) || roles.length === 0)
    throw new TypeError('auth.roles must be a list of at least one role: { roles: ["editor"] }.');
}

function checkRateLimit(rateLimit: unknown): void {
  if (rateLimit === undefined) return;
  const { max, windowSecs, by = "user", ...others }: Loose = { ...Object(rateLimit) };
  const [other] = Object.keys(others);
  if (other !== undefined)
    throw new TypeError(`rateLimit has no option "${other}": use max, windowSecs, by.`);
  if (!isWithin(max, 1, MAX_CALLS) || !Number.isInteger(max))
    throw new TypeError(`rateLimit.max must be a whole number from 1 to ${MAX_CALLS}.`);
  if (!isWithin(windowSecs, 1, MAX_WINDOW_SECONDS) || !Number.isInteger(windowSecs))
    throw new TypeError(
      `rateLimit.windowSecs must be a whole number from 1 to ${MAX_WINDOW_SECONDS}.`,
    );
  if (!COUNTED_BY.includes(by))
    throw new TypeError('rateLimit.by must be "user", "address" or "all".');
}

function isWithin(value: unknown, min: number, max: number): boolean {
  return typeof value === "number" && value >= min && value <= max;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string" && item !== "");
}
