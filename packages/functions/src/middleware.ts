import type { MiddlewareCtx } from "./context.ts";
import type { FnDefinition, FnType } from "./definition.ts";

/**
 * The outcome of the rest of a call, which a middleware returns.
 *
 * @example
 * const timed = middleware(async ({ ctx, next }) => {
 *   const outcome = await next();
 *   ctx.log.info("done", { wasText: typeof outcome.result === "string" });
 *   return outcome;
 * });
 */
export class Continued<Added extends object = object> {
  /** The handler's return value. */
  readonly result: unknown;
  /** Never set at runtime; carries the type of the additions to the context. */
  readonly __added?: Added;

  constructor(result: unknown) {
    this.result = result;
  }
}

/** A call of a function, passed to a middleware. */
export interface MiddlewareCall<Ctx> {
  /** The context, with the additions of previous middleware. */
  readonly ctx: Ctx;
  /** The arguments, validated if the function declares them. */
  readonly args: Readonly<Record<string, unknown>>;
  /** The name of the function. */
  readonly name: string;
  readonly type: FnType;
  /** Runs the rest of the call. May be called once. */
  next(): Promise<Continued<Record<never, never>>>;
  /** Runs the rest of the call, with additions to the context. */
  next<Added extends object>(added: Added): Promise<Continued<Added>>;
}

/** Code that runs around the handlers of functions. */
export type Middleware<Ctx = never, Added extends object = object> = (
  call: MiddlewareCall<Ctx>,
) => Promise<Continued<Added>>;

/** A middleware of any type. */
export type AnyMiddleware = Middleware<never, object>;

type AddedOf<M> = M extends (call: never) => Promise<Continued<infer Added>> ? Added : never;

/** The additions of a list of middleware to the context. */
export type AddedBy<M extends readonly AnyMiddleware[]> = M extends readonly [
  infer First,
  ...infer Rest extends readonly AnyMiddleware[],
]
  ? AddedOf<First> & AddedBy<Rest>
  : unknown;

/** The middleware of a list whose requirements neither the context nor the others provide. */
type IncompatibleMiddleware<M extends readonly AnyMiddleware[], Ctx> = M[number] extends infer One
  ? One extends Middleware<Ctx & AddedBy<M>>
    ? never
    : One
  : never;

/** An empty type if every middleware of a list finds what it requires in the context. */
export type CompatibleMiddleware<
  M extends readonly AnyMiddleware[],
  Ctx,
> = number extends M["length"]
  ? unknown
  : [IncompatibleMiddleware<M, Ctx>] extends [never]
    ? unknown
    : { readonly middleware: "One of them requires a context that is not provided." };

/**
 * Creates a middleware: it runs before the handler of each function that lists it, and may reject
 * the call with an error, add to the context, and measure or inspect the rest of the call. In a
 * mutation it is part of the transaction. Assign it to a variable before listing it: the additions
 * of an inline middleware have no types in the handler.
 *
 * @param run returns the result of `next`
 * @example
 * const withUser = middleware(async ({ ctx, next }) => {
 *   if (ctx.auth.userId === null) throw ctx.error("AUTH_REQUIRED", "Sign in first.");
 *   return next({ userId: ctx.auth.userId });
 * });
 *
 * export default query({
 *   middleware: [withUser],
 *   handler: (ctx) => ctx.db.query("Todo", { ownerId: ctx.userId }),
 * });
 */
export function middleware<Added extends object, Ctx = MiddlewareCtx>(
  run: (call: MiddlewareCall<Ctx>) => Promise<Continued<Added>>,
): Middleware<Ctx, Added> {
  return run;
}

/**
 * Calls a function's handler with its middleware. For tools that run functions, such as the server.
 *
 * @example
 * const result = await callHandler("add", { type: "query", handler: () => 1 }, {}, {});
 */
export function callHandler(
  name: string,
  definition: FnDefinition,
  ctx: object,
  args: unknown,
): unknown {
  // The handler's types are those of the app; here it accepts the context of its type.
  const handler = definition.handler as (ctx: unknown, args: unknown) => unknown;
  const { middleware: layers = [], type } = definition;
  if (layers.length === 0) return handler(ctx, args);
  const call = (index: number, context: object): unknown => {
    const layer = layers[index] as ((call: MiddlewareCall<unknown>) => unknown) | undefined;
    if (layer === undefined) return handler(context, args);
    return runLayer(layer, { ctx: context, args: Object(args), name, type }, (added) =>
      call(index + 1, extended(context, added)),
    );
  };
  return call(0, ctx);
}

async function runLayer(
  layer: (call: MiddlewareCall<unknown>) => unknown,
  call: Pick<MiddlewareCall<unknown>, "ctx" | "args" | "name" | "type">,
  rest: (added: object) => unknown,
): Promise<unknown> {
  let runs = 0;
  const next = async (added: object = {}): Promise<Continued> => {
    if ((runs += 1) > 1) throw new TypeError("A middleware must call next only once.");
    return new Continued(await rest(added));
  };
  const outcome = await layer({ ...call, next } as MiddlewareCall<unknown>);
  if (outcome instanceof Continued) return outcome.result;
  throw new TypeError(`A middleware of "${call.name}" must return the result of next().`);
}

/** Copies property descriptors, because reading a getter of the context has side effects. */
function extended(context: object, added: object): object {
  return Object.defineProperties(
    {},
    { ...Object.getOwnPropertyDescriptors(context), ...Object.getOwnPropertyDescriptors(added) },
  );
}
