import { ERROR_STATUS, PylonError, type ErrorCode, type ErrorOf } from "@pylonsync/protocol";
import type { ServerErrors } from "@pylonsync/sdk";
import { parseArgs } from "./check.ts";
import { checkDeclaredArgs, isValidator } from "./declared-args.ts";
import type { CallerArgs, DeclaredArgs, FnDefinition, HandlerArgs } from "./definition.ts";
import { isStandardSchema } from "./standard-schema.ts";

/**
 * The errors that a function declares: the data of each error by its code, declared in the form of
 * `args`. `{}`: no data.
 */
export type DeclaredErrors = Readonly<Record<string, DeclaredArgs>>;

/** The data of declared errors by their codes, as a caller receives them. */
export type ErrorData<E extends DeclaredErrors> = { readonly [C in keyof E]: HandlerArgs<E[C]> };

/** The arguments after the message: none if no data is required. */
type Data<D extends DeclaredArgs> =
  Record<never, never> extends CallerArgs<D> ? [data?: CallerArgs<D>] : [data: CallerArgs<D>];

/** The `ctx.error` of a function that declares its errors. */
export interface DeclaredErrorMaker<E extends DeclaredErrors> {
  /** Allows passing the context to a helper that accepts any context. */
  (code: never, message: string): Error;
  <C extends keyof E & string>(code: C, message: string, ...data: Data<E[C]>): Error;
}

/** The error of a function that was run with `ctx.runMutation` and the like. */
export type RunError<N> = keyof ServerErrors<N> extends never
  ? PylonError
  : PylonError & ErrorOf<ServerErrors<N>, ErrorCode>;

const MAX_CODES = 100;
const CODE = /^[A-Z][A-Z0-9_]{0,63}$/;

/**
 * Returns the declared error with which a call of `ctx.runQuery`, `ctx.runMutation` or
 * `ctx.runAction` failed, with the code and the data that the function declares in `errors`.
 *
 * @param _name the name of the called function, which determines the types
 * @returns null if the function did not throw it as an error for its caller: a bug, or an error of
 *   this function itself
 *
 * @example
 * export default action({
 *   handler: async (ctx) => {
 *     try {
 *       return await ctx.runMutation("addTodo", { title: "milk" });
 *     } catch (thrown) {
 *       const error = functionError("addTodo", thrown);
 *       if (error?.code === "FULL") return error.data;
 *       throw thrown;
 *     }
 *   },
 * });
 */
export function functionError<N extends string>(_name: N, thrown: unknown): RunError<N> | null {
  return isRunError<N>(thrown) ? thrown : null;
}

/** The server has checked that an error of a declared code has the declared data. */
function isRunError<N extends string>(thrown: unknown): thrown is RunError<N> {
  // Checks the form, because the app may have another copy of the class.
  return (
    thrown instanceof Error &&
    thrown.name === "PylonError" &&
    "code" in thrown &&
    typeof thrown.code === "string"
  );
}

/**
 * Checks the `errors` declaration of a function when it is defined. For tools that load functions,
 * such as the server.
 *
 * @throws TypeError that names the code and says how to fix it
 *
 * @example
 * checkDeclaredErrors({ OUTBID: { highest: v.int() }, CLOSED: {} });
 */
export function checkDeclaredErrors(errors: unknown): void {
  if (errors === undefined) return;
  if (typeof errors !== "object" || errors === null || Array.isArray(errors))
    throw new TypeError(
      "errors must be an object by codes: errors: { SOLD_OUT: { left: v.int() } }.",
    );
  const entries = Object.entries(errors as DeclaredErrors);
  if (entries.length > MAX_CODES)
    throw new TypeError(`errors has ${entries.length} codes; at most ${MAX_CODES} are allowed.`);
  for (const [code, data] of entries) {
    if (!CODE.test(code))
      throw new TypeError(
        `errors.${code.slice(0, 80)} is not a valid code: use at most 64 A-Z, 0-9 and _.`,
      );
    checkData(code, data);
  }
}

function checkData(code: string, data: DeclaredArgs): void {
  try {
    checkDeclaredArgs(data);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TypeError(`errors.${code} must be declared like args. ${reason}`, { cause: error });
  }
  if (Object.hasOwn(ERROR_STATUS, code) && !isEmpty(data))
    throw new TypeError(
      `errors.${code} is also an error code of Pylon, without data: declare ${code}: {}, or ` +
        "another code.",
    );
}

function isEmpty(data: DeclaredArgs): boolean {
  return !isStandardSchema(data) && !isValidator(data) && Object.keys(data).length === 0;
}

/**
 * Creates the `ctx.error` of a function. For tools that run functions, such as the server.
 *
 * @example
 * const error = errorMaker({ errors: { SOLD_OUT: { left: v.int() } } });
 * throw error("SOLD_OUT", "Too late.", { left: 0 });
 */
export function errorMaker(
  definition: Pick<FnDefinition, "errors">,
): (code: unknown, message: unknown, data?: unknown) => PylonError {
  return (code, message, data) => {
    if (typeof code !== "string" || code === "")
      throw new TypeError("ctx.error requires a code, such as SOLD_OUT, and a message.");
    const text = String(message ?? code);
    if (data !== undefined && declarationOf(definition, code) === undefined)
      throw new TypeError(`ctx.error accepts data only for declared codes, not for ${code}.`);
    return checkedError(definition, refusal(code, text, data));
  };
}

/**
 * Returns an error as the caller of a function may see it: with the data that the function declares
 * for its code, and without undeclared data. For tools that run functions, such as the server.
 *
 * @throws Error for data that does not match the declaration: a bug of the app
 *
 * @example
 * const outbid = errorMaker({})("OUTBID", "Somebody has bid more.");
 * const shown = checkedError({ errors: { OUTBID: {} } }, outbid);
 */
export function checkedError(
  definition: Pick<FnDefinition, "errors">,
  error: PylonError,
): PylonError {
  const { code, data } = error;
  const args = declarationOf(definition, code);
  if (args === undefined) return data === undefined ? error : withData(error, undefined);
  try {
    return withData(error, parseArgs({ args }, data ?? {}));
  } catch (problem) {
    const reason = problem instanceof Error ? problem.message : String(problem);
    throw new Error(`The data of the error ${code} does not match its declaration: ${reason}`, {
      cause: problem,
    });
  }
}

function refusal(code: string, message: string, data: unknown): PylonError {
  return new PylonError(code, message, data === undefined ? {} : { extra: { data } });
}

function declarationOf(
  { errors = {} }: Pick<FnDefinition, "errors">,
  code: string,
): DeclaredArgs | undefined {
  return Object.hasOwn(errors, code) ? errors[code] : undefined;
}

function withData(error: PylonError, data: unknown): PylonError {
  const { code, message, hint, field, extra = {}, stack } = error;
  const { data: _, ...others } = extra;
  const shown = new PylonError(code, message, {
    ...(hint === undefined ? {} : { hint }),
    ...(field === undefined ? {} : { field }),
    extra: data === undefined ? others : { ...others, data },
  });
  if (stack !== undefined) shown.stack = stack;
  return shown;
}
