import { compileTest } from "./evaluate.ts";
import type { Env, Expr } from "./expr.ts";
import { readPath } from "./path-value.ts";
import { storedForm } from "./stored-form.ts";

/**
 * Compiles a policy or a filter that reads no other rows.
 *
 * @returns a function that evaluates it for the rows and the caller in `env`
 * @throws Error if it reads other rows (`hasExists`), which only a store can evaluate
 * @example
 * compilePredicate(parsePolicy("auth.userId == data.ownerId"))({ auth, data: row })
 */
export function compilePredicate(expr: Expr): (env: Env) => boolean {
  return compileTest(expr, (path) => {
    const { root } = path;
    const read = readPath(path, storedForm);
    return (env) => read(env[root]);
  });
}
