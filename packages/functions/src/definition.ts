import type { ActionCtx, MutationCtx, QueryCtx } from "./context.ts";
import { checkDeclaredArgs } from "./declared-args.ts";
import type { Infer, InferArgs, Shape, Validator } from "./validators.ts";

/** The kinds of functions. */
export type FnType = "query" | "mutation" | "action";

/** The HTTP methods that a webhook may take. */
export const WEBHOOK_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;
/** An HTTP method that a webhook may take. */
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
    if ("webhook" in options) checkWebhook(type, options.webhook);
    return { type, ...options, ...(internal ? { internal } : {}) };
  };
}

/** @throws TypeError naming what is wrong, which `pylon dev` shows with the file */
function checkWebhook(type: FnType, webhook: unknown): void {
  if (webhook === undefined) return;
  if (type !== "action")
    throw new TypeError(`A ${type} has no webhook: only an action can take one.`);
  const options: Readonly<Record<string, unknown>> = Object(webhook);
  const { methods, bearer, ...unknown } = options;
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
 * Defines a function that only reads, from one snapshot of the database.
 *
 * @throws Error for arguments that are not validators
 *
 * @example
 * export default query({
 *   args: { done: v.bool() },
 *   handler: (ctx, args) => ctx.db.query("Todo", { done: args.done, $limit: 20 }),
 * });
 */
export const query = define<QueryCtx>("query", false);

/**
 * Defines a function that reads and writes in one transaction: when the handler throws, nothing is
 * kept.
 *
 * @throws Error for arguments that are not validators
 *
 * @example
 * export default mutation({
 *   args: { title: v.string() },
 *   handler: async (ctx, { title }) => {
 *     if (ctx.auth.userId === null) throw ctx.error("UNAUTHORIZED", "Sign in first.");
 *     return { id: await ctx.db.insert("Todo", { title }) };
 *   },
 * });
 */
export const mutation = define<MutationCtx>("mutation", false);

/**
 * Defines a function that may use the network, and runs queries and mutations. Not a transaction.
 * With `webhook` it is also called at `/api/webhooks/NAME`.
 *
 * @throws Error for arguments that are not validators, TypeError for an unknown webhook option
 *
 * @example
 * export default action({
 *   webhook: { methods: ["POST"] },
 *   handler: async (ctx) => ({ received: ctx.request?.rawBody.length ?? 0 }),
 * });
 */
export const action = define<ActionCtx, { readonly webhook?: WebhookOptions }>("action", false);

/**
 * Defines a query that only actions can run.
 *
 * @example
 * export default internalQuery({ handler: (ctx) => ctx.db.count("Todo", { done: true }) });
 */
export const internalQuery = define<QueryCtx>("query", true);
/**
 * Defines a mutation that only actions can run.
 *
 * @example
 * export default internalMutation({
 *   args: { id: v.id("Todo") },
 *   handler: (ctx, { id }) => ctx.db.update("Todo", id, { done: true }),
 * });
 */
export const internalMutation = define<MutationCtx>("mutation", true);
/**
 * Defines an action that only other actions can run.
 *
 * @example
 * export default internalAction({ handler: (ctx) => ctx.runMutation("clearDone") });
 */
export const internalAction = define<ActionCtx>("action", true);
