import type { ActionCtx, MutationCtx, QueryCtx } from "./context.ts";
import { checkDeclaredArgs } from "./declared-args.ts";
import type { Infer, InferArgs, Shape, Validator } from "./validators.ts";

export type FnType = "query" | "mutation" | "action";

export const WEBHOOK_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;
export type WebhookMethod = (typeof WEBHOOK_METHODS)[number];

/** How an action is called at `/api/webhooks/NAME`. */
export interface WebhookOptions {
  /** The HTTP methods that it takes there; default POST alone. */
  readonly methods?: readonly WebhookMethod[];
  /**
   * Whether `Authorization: Bearer <token>` holds a token of this server, so that `ctx.auth` is its
   * user. Default false: nobody is signed in, and the header is the sender's own, to be checked in
   * `ctx.request.headers`. A cookie never counts.
   */
  readonly bearer?: boolean;
}

/** A function as the server holds it. */
export interface FnDefinition {
  readonly type: FnType;
  readonly args?: Shape | Validator;
  readonly returns?: Validator;
  /** Not callable from outside, only from actions. */
  readonly internal?: boolean;
  /** Of an action. */
  readonly webhook?: WebhookOptions;
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

function define<Ctx, Extra = unknown>(type: FnType, internal: boolean) {
  return <
    const S extends Shape | Validator = Readonly<Record<string, never>>,
    R extends Validator = Validator,
    Result = unknown,
  >(
    options: Options<Ctx, S, R, Result> & Extra,
  ): TypedFn<InferArgs<S>, ResultOf<R, Result>> => {
    checkDeclaredArgs(options.args);
    checkWebhook(type, options);
    return { type, ...options, ...(internal ? { internal } : {}) };
  };
}

/** @throws TypeError naming what is wrong, which `pylon dev` shows with the file */
function checkWebhook(type: FnType, options: object): void {
  const { webhook } = options as Pick<FnDefinition, "webhook">;
  if (webhook === undefined) return;
  if (type !== "action")
    throw new TypeError(`A ${type} has no webhook: only an action can take one.`);
  const { methods, bearer, ...unknown } = webhook;
  const [other] = Object.keys(unknown);
  if (other !== undefined)
    throw new TypeError(`webhook has no option "${other}": use methods, bearer.`);
  if (bearer !== undefined && typeof bearer !== "boolean")
    throw new TypeError("webhook.bearer is true or false.");
  const isKnown = (method: unknown): boolean => WEBHOOK_METHODS.some((known) => known === method);
  if (methods !== undefined && !(Array.isArray(methods) && methods.every(isKnown)))
    throw new TypeError(`webhook.methods is a list of ${WEBHOOK_METHODS.join(", ")}.`);
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

/**
 * Talks to the world, and runs queries and mutations. Not a transaction.
 *
 * @example export default action({ webhook: { methods: ["GET", "POST"] }, handler: (ctx) =>
 *   ctx.request?.method });
 */
export const action = define<ActionCtx, { readonly webhook?: WebhookOptions }>("action", false);

/** A query that only actions can run. */
export const internalQuery = define<QueryCtx>("query", true);
/** A mutation that only actions can run. */
export const internalMutation = define<MutationCtx>("mutation", true);
/** An action that only actions can run. */
export const internalAction = define<ActionCtx>("action", true);
