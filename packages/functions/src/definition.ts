import type { ActionCtx, MutationCtx, QueryCtx } from "./context.ts";
import { checkDeclaredArgs } from "./declared-args.ts";
import type { Infer, InferArgs, Shape, Validator } from "./validators.ts";

export type FnType = "query" | "mutation" | "action";

/** A function as the server holds it. */
export interface FnDefinition {
  readonly type: FnType;
  readonly args?: Shape | Validator;
  readonly returns?: Validator;
  /** Not callable from outside, only from actions. */
  readonly internal?: boolean;
  readonly handler: (ctx: never, args: never) => unknown;
}

/** A function that knows its types. */
export interface TypedFn<Args, Result> extends FnDefinition {
  /** Never set: carries the types. */
  readonly __types?: { readonly args: Args; readonly result: Result };
}

interface Options<Ctx, S extends Shape | Validator, R extends Validator, Result> {
  /**
   * What the call must bring: an object of validators, whose undeclared keys are refused, or
   * `v.looseObject({...})`, which keeps them. Without it anything is passed on unchecked.
   */
  readonly args?: S;
  /** What the handler must return. */
  readonly returns?: R;
  readonly handler: (ctx: Ctx, args: InferArgs<S>) => Result;
}

type ResultOf<R extends Validator, Result> = Validator extends R ? Awaited<Result> : Infer<R>;

function define<Ctx>(type: FnType, internal: boolean) {
  return <
    const S extends Shape | Validator = Readonly<Record<string, never>>,
    R extends Validator = Validator,
    Result = unknown,
  >(
    options: Options<Ctx, S, R, Result>,
  ): TypedFn<InferArgs<S>, ResultOf<R, Result>> => {
    checkDeclaredArgs(options.args);
    return { type, ...options, ...(internal ? { internal } : {}) };
  };
}

/**
 * Reads rows.
 *
 * @example export default query({ args: { done: v.bool() }, handler: (ctx, args) =>
 *   ctx.db.query("Todo", args) });
 */
export const query = define<QueryCtx>("query", false);

/** Reads and writes rows in one transaction: when the handler throws, nothing is kept. */
export const mutation = define<MutationCtx>("mutation", false);

/** Talks to the world, and runs queries and mutations. Not a transaction. */
export const action = define<ActionCtx>("action", false);

/** A query that only actions can run. */
export const internalQuery = define<QueryCtx>("query", true);
/** A mutation that only actions can run. */
export const internalMutation = define<MutationCtx>("mutation", true);
/** An action that only actions can run. */
export const internalAction = define<ActionCtx>("action", true);
