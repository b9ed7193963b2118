import { FALSE, type Expr, type SchemaShape } from "@pylonsync/query";
import type { Diagnostic } from "../schema/diagnostic.ts";
import { PolicyCompiler } from "./policy-compiler.ts";

/** The part of a function that declares who may call it. */
interface Declared {
  readonly auth?: unknown;
}

/** By function name: the condition for a call from outside, over `auth` and `input`. */
export type FunctionPolicies = ReadonlyMap<string, Expr>;

/** The keywords that are not policy expressions. */
const WORDS: ReadonlySet<unknown> = new Set(["public", "user", "admin"]);

/** Compiles the policies of the functions that have one. */
export function compileFunctionPolicies(
  functions: ReadonlyMap<string, Declared>,
  schema: SchemaShape,
): { policies: FunctionPolicies; diagnostics: Diagnostic[] } {
  const compiler = new PolicyCompiler(schema);
  const policies = new Map<string, Expr>();
  for (const [name, { auth }] of functions) {
    if (typeof auth !== "string" || WORDS.has(auth)) continue;
    const expr = compiler.compile({
      label: `The policy of the function "${name}"`,
      texts: { auth },
      keys: ["auth"],
      scope: { roots: ["input"] },
      at: `functions.${name}`,
    });
    policies.set(name, expr ?? FALSE);
  }
  return { policies, diagnostics: compiler.diagnostics };
}
