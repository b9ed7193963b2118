import type { ActionCtx, MutationCtx, QueryCtx } from "./context.ts";
import { checkDeclaredArgs } from "./declared-args.ts";
import {
  checkDeclaredErrors,
  type DeclaredErrorMaker,
  type DeclaredErrors,
  type ErrorData,
} from "./declared-errors.ts";
import type { AddedBy, AnyMiddleware, CompatibleMiddleware } from "./middleware.ts";
import { checkFunctionOptions, type FunctionOptions } from "./options.ts";
import type { StandardSchema } from "./standard-schema.ts";
import type { Infer, InferArgs, Shape, Validator } from "./validators.ts";

/** The types of functions. */
export type FnType = "query" | "mutation" | "action";

/** The HTTP methods that a webhook may accept. */
export const WEBHOOK_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;
/** An HTTP method that a webhook may accept. */
export type WebhookMethod = (typeof WEBHOOK_METHODS)[number];

/** How an action is called at `/api/webhooks/NAME`. */
export interface WebhookOptions {
  /** The accepted HTTP methods; default POST only. */
  readonly methods?: readonly WebhookMethod[];
  /**
   * Whether `Authorization: Bearer <token>` contains a token of this server, so that `ctx.auth` is
   * its user. Default false: the call is anonymous, and the function can check the sender's header
   * in `ctx.request.headers`. Cookies are always ignored.
   */
  readonly bearer?: boolean;
}

/** The forms in which a function may declare its arguments. */
export type DeclaredArgs = Shape | Validator | StandardSchema;

/** The arguments as the handler receives them. */
export type HandlerArgs<A> = A extends StandardSchema<unknown, infer O> ? O : InferArgs<A>;
/** The arguments as the caller passes them. */
export type CallerArgs<A> = A extends StandardSchema<infer I, unknown> ? I : InferArgs<A>;

/** A function as the server loads it. */
export interface FnDefinition extends FunctionOptions {
  readonly type: FnType;
  readonly args?: DeclaredArgs;
  readonly returns?: Validator | StandardSchema;
  readonly errors?: DeclaredErrors;
  readonly middleware?: readonly AnyMiddleware[];
  /** The names of environment variables available in `ctx.secrets`. */
  readonly secrets?: readonly string[];
  /** Only for an action. */
  readonly webhook?: WebhookOptions;
  /** Whether the handler runs in a separate process. */
  readonly isolate?: boolean;
  readonly handler: (ctx: never, args: never) => unknown;
}

/** A function with its types. */
export interface TypedFn<Args, Result, Errors = Record<never, never>> extends FnDefinition {
  /** Never set at runtime; carries the types. */
  readonly __types?: { readonly args: Args; readonly result: Result; readonly errors: Errors };
}

type DeclaredResult = Validator | StandardSchema;

interface Options<
  Ctx,
  S extends DeclaredArgs,
  R extends DeclaredResult,
  Result,
  E extends DeclaredErrors,
  M extends readonly AnyMiddleware[],
  Secret extends string,
> extends FunctionOptions {
  /**
   * The arguments: an object of validators, which rejects undeclared keys, `v.looseObject({...})`,
   * which accepts them, or a schema of a library such as Zod, Valibot or ArkType. Without it,
   * arguments are passed on unchecked.
   */
  readonly args?: S;
  /** The result that the handler must return. A Standard Schema may transform it. */
  readonly returns?: R;
  /**
   * The errors that the handler throws for its caller, by code, each with its data, declared like
   * `args`: `{ OUTBID: { highest: v.int() }, CLOSED: {} }`. `ctx.error` then accepts these codes,
   * and callers get their types.
   */
  readonly errors?: E;
  /**
   * `true`: the handler runs in a separate process, which can be killed and whose memory is
   * limited. `false`: never, regardless of PYLON_FUNCTION_ISOLATION. Default: as that variable
   * sets.
   */
  readonly isolate?: boolean;
  /**
   * Runs around the handler, the first one outermost; what each adds is available in the handler's
   * `ctx`.
   */
  readonly middleware?: M;
  /** The names of environment variables that the handler reads in `ctx.secrets`. */
  readonly secrets?: readonly Secret[];
  readonly handler: (ctx: HandlerCtx<Ctx, E, M, Secret>, args: HandlerArgs<S>) => Result;
}

/** The context, with the additions of the function's options. */
type HandlerCtx<
  Ctx,
  E extends DeclaredErrors,
  M extends readonly AnyMiddleware[],
  Secret extends string,
> = WithErrors<Ctx, E> & AddedBy<M> & { readonly secrets: Readonly<Record<Secret, string>> };

type WithErrors<Ctx, E extends DeclaredErrors> = keyof E extends never
  ? Ctx
  : Omit<Ctx, "error"> & { readonly error: DeclaredErrorMaker<E> };

type ResultOf<R extends DeclaredResult, Result> = Validator extends R
  ? Awaited<Result>
  : R extends StandardSchema<unknown, infer O>
    ? O
    : Infer<R>;

function define<Ctx, Extra = unknown>(type: FnType, internal: boolean) {
  return <
    const S extends DeclaredArgs = Readonly<Record<string, never>>,
    R extends DeclaredResult = Validator,
    Result = unknown,
    const E extends DeclaredErrors = Readonly<Record<never, never>>,
    const M extends readonly AnyMiddleware[] = readonly [],
    const Secret extends string = never,
  >(
    options: Options<Ctx, S, R, Result, E, M, Secret> & Extra & CompatibleMiddleware<M, Ctx>,
  ): TypedFn<CallerArgs<S>, ResultOf<R, Result>, ErrorData<E>> => {
    checkDeclaredArgs(options.args);
    checkDeclaredErrors(options.errors);
    checkFunctionOptions(options);
    if ("webhook" in options) checkWebhook(type, options.webhook);
    return { type, ...options, ...(internal ? { internal } : {}) };
  };
}

/** @throws TypeError that names the problem; `pylon dev` shows it with the file */
function checkWebhook(type: FnType, webhook: unknown): void {
  if (webhook === undefined) return;
  if (type !== "action") throw new TypeError(`A ${type} can't be a webhook: only an action can.`);
  const options: Readonly<Record<string, unknown>> = Object(webhook);
  const { methods, bearer, ...unknown } = options;
  const [other] = Object.keys(unknown);
  if (other !== undefined)
    throw new TypeError(`webhook has no option "${other}": use methods, bearer.`);
  if (bearer !== undefined && typeof bearer !== "boolean")
    throw new TypeError("webhook.bearer must be true or false.");
  const isKnown = (method: unknown): boolean => WEBHOOK_METHODS.some((known) => known === method);
  if (methods !== undefined && !(Array.isArray(methods) && methods.every(isKnown)))
    throw new TypeError(`webhook.methods must be a list of ${WEBHOOK_METHODS.join(", ")}.`);
}

/**
 * Defines a function that only reads, from a single snapshot of the database.
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
 * Defines a function that reads and writes in one transaction: if the handler throws, all its
 * writes are rolled back.
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
 * Defines a function that may use the network, and can run queries and mutations. It is not a
 * transaction. With `webhook` it is also called at `/api/webhooks/NAME`.
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
 * Defines a query that can't be called from outside, only from actions.
 *
 * @example
 * export default internalQuery({ handler: (ctx) => ctx.db.count("Todo", { done: true }) });
 */
export const internalQuery = define<QueryCtx>("query", true);
/**
 * Defines a mutation that can't be called from outside, only from actions.
 *
 * @example
 * export default internalMutation({
 *   args: { id: v.id("Todo") },
 *   handler: (ctx, { id }) => ctx.db.update("Todo", id, { done: true }),
 * });
 */
export const internalMutation = define<MutationCtx>("mutation", true);
/**
 * Defines an action that can't be called from outside, only from other actions.
 *
 * @example
 * export default internalAction({ handler: (ctx) => ctx.runMutation("clearDone") });
 */
export const internalAction = define<ActionCtx>("action", true);
