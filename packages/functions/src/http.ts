import type { ActionCtx } from "./context.ts";
import { checkFunctionOptions, type FunctionOptions } from "./options.ts";

/** The HTTP methods of HTTP functions. HEAD is handled like GET, without the body. */
export const HTTP_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;
/** An HTTP method that an HTTP function may accept. */
export type HttpMethod = (typeof HTTP_METHODS)[number];

/** Which websites may read the responses in a browser (CORS). */
export interface HttpCors {
  /** Exact origins such as `https://shop.example`, or `"*"` for any origin. */
  readonly origins: "*" | readonly string[];
  /** Allowed request headers; default `Content-Type` and `Authorization`. */
  readonly headers?: readonly string[];
  /** Response headers that the page may read, in addition to the standard ones. */
  readonly exposedHeaders?: readonly string[];
  /** Whether cookies are sent. Not allowed with `"*"`. */
  readonly credentials?: boolean;
}

/** The name of the parameter that a segment of a path declares. */
type ParamOf<Segment extends string> = Segment extends `:${infer Name}`
  ? Name
  : Segment extends "*"
    ? "*"
    : never;

/** The names of all parameters of a path. */
type ParamsIn<Path extends string> = Path extends `${infer Segment}/${infer Rest}`
  ? ParamOf<Segment> | ParamsIn<Rest>
  : ParamOf<Path>;

/** Of one path among several, only their common parameters are always there. */
type CommonParamsIn<Path extends string> = keyof (Path extends unknown
  ? Readonly<Record<ParamsIn<Path>, string>>
  : never);

/**
 * The parameters of a path: those that it declares are always there. Any other name may be read,
 * for code that handles several paths, and may be undefined.
 *
 * @example
 * import type { HttpParams } from "@pylonsync/functions";
 * const nameOf = (params: HttpParams<"/users/:name">): string => params["name"];
 */
export type HttpParams<Path extends string = string> = Readonly<Record<string, string>> &
  Readonly<Record<CommonParamsIn<Path>, string>>;

/**
 * The context of an HTTP function: that of an action, and the path parameters.
 *
 * @example
 * import type { HttpCtx } from "@pylonsync/functions";
 * const greet = ({ params }: HttpCtx<"/hello/:name">) => new Response(`Hello ${params["name"]}`);
 */
export interface HttpCtx<Path extends string = string> extends Omit<
  ActionCtx,
  "job" | "request" | "stream"
> {
  /** The decoded values of `:name` and `*` in the path. */
  readonly params: HttpParams<Path>;
}

/** The options of an HTTP function. */
export interface HttpOptions<
  Secret extends string = string,
  Path extends string = string,
> extends Omit<FunctionOptions, "internal"> {
  /** The accepted methods; `"*"`: any. */
  readonly method: HttpMethod | "*" | readonly HttpMethod[];
  /**
   * The path: below `/api/http/`, or anywhere outside `/api` and the server's own paths. `:name`
   * matches one segment, and a `*` at the end matches the rest. Default: `/api/http/` and the
   * function's name, with its dots replaced by `/`.
   */
  readonly path?: Path;
  /**
   * Whether the session cookie is accepted. Default false: only bearer tokens are, or, with `auth:
   * "public"`, the Authorization header is left to the function. If it is accepted, pages of other
   * sites can't write, except those in PYLON_TRUSTED_ORIGINS.
   */
  readonly cookies?: boolean;
  /** Default: pages of the server's own origin and of PYLON_CORS_ORIGIN. */
  readonly cors?: HttpCors;
  /** The maximum size of the body, in bytes, up to 100 MiB; default 10 MiB. */
  readonly maxBodyBytes?: number;
  /** The names of environment variables that the handler reads in `ctx.secrets`. */
  readonly secrets?: readonly Secret[];
}

/** An HTTP function as the server loads it. */
export interface HttpDefinition extends HttpOptions {
  readonly type: "http";
  readonly handler: (request: Request, ctx: never) => unknown;
}

const MAX_BODY_BYTES = 100 * 1024 * 1024;
const OPTIONS: readonly string[] = [
  ...["method", "path", "auth", "cookies", "cors", "maxBodyBytes", "rateLimit", "timeoutSecs"],
  ...["secrets", "handler", "type"],
];
const PATH =
  /^\/(?:\*|(?::[A-Za-z_]\w*|[^/:*?#%\s]+)(?:\/(?::[A-Za-z_]\w*|[^/:*?#%\s]+))*(?:\/\*)?)?\/?$/;

/**
 * Defines a function that handles HTTP requests: it receives a Request and returns a Response,
 * which may stream. It is a file in `functions/`, like other functions.
 *
 * @throws TypeError for an invalid option
 *
 * @example
 * export default http({
 *   method: "GET",
 *   path: "/hello/:name",
 *   handler: (request, ctx) => new Response(`Hello ${ctx.params["name"]}`),
 * });
 */
export function http<const Secret extends string = never, const Path extends string = string>(
  options: HttpOptions<Secret, Path> & {
    readonly handler: (
      request: Request,
      ctx: HttpCtx<Path> & { readonly secrets: Readonly<Record<Secret, string>> },
    ) => Response | Promise<Response>;
  },
): HttpDefinition {
  const definition: HttpDefinition = { type: "http", ...options };
  checkHttpOptions(definition);
  return definition;
}

/**
 * An alias of `http`.
 *
 * @example
 * export default httpAction({ method: "POST", handler: () => new Response("received") });
 */
export const httpAction = http;

/**
 * Checks the options of an HTTP function. For tools that load functions, such as the server.
 *
 * @throws TypeError that names the problem; `pylon dev` shows it with the file
 *
 * @example
 * checkHttpOptions(http({ method: "GET", handler: () => new Response() }));
 */
export function checkHttpOptions(definition: HttpDefinition): void {
  if ("isolate" in definition)
    throw new TypeError(
      "An HTTP function runs in the server's process: remove isolate. Run code that needs " +
        "isolation with ctx.runAction, in an action with isolate: true.",
    );
  const other = Object.keys(definition).find((name) => !OPTIONS.includes(name));
  if (other !== undefined)
    throw new TypeError(`An HTTP function has no option "${other}": use ${OPTIONS.join(", ")}.`);
  checkFunctionOptions(definition);
  const { method, path, cookies, maxBodyBytes }: Readonly<Record<string, unknown>> = {
    ...definition,
  };
  const methods = Array.isArray(method) ? method : [method];
  if (methods.length === 0 || !methods.every(isMethod))
    throw new TypeError(`method must be "*", or one or a list of ${HTTP_METHODS.join(", ")}.`);
  if (Array.isArray(method) && method.includes("*"))
    throw new TypeError('"*" is not allowed in a list: write method: "*".');
  if (path !== undefined && !(typeof path === "string" && path.length <= 512 && PATH.test(path)))
    throw new TypeError(
      'path must begin with / and have plain segments, :names or a final *: "/files/:id/*".',
    );
  if (cookies !== undefined && typeof cookies !== "boolean")
    throw new TypeError("cookies must be true or false.");
  if (maxBodyBytes !== undefined && !isSize(maxBodyBytes))
    throw new TypeError(`maxBodyBytes must be a whole number of bytes, up to ${MAX_BODY_BYTES}.`);
  checkCors(definition.cors);
}

function checkCors(cors: unknown): void {
  if (cors === undefined) return;
  const {
    origins,
    headers,
    exposedHeaders,
    credentials,
    ...others
  }: Readonly<Record<string, unknown>> = { ...Object(cors) };
  const [other] = Object.keys(others);
  if (other !== undefined)
    throw new TypeError(
      `cors has no option "${other}": use origins, headers, exposedHeaders, credentials.`,
    );
  const isOrigin = (origin: unknown): boolean =>
    typeof origin === "string" && URL.canParse(origin) && new URL(origin).origin === origin;
  if (origins !== "*" && !(Array.isArray(origins) && origins.length > 0 && origins.every(isOrigin)))
    throw new TypeError(
      'cors.origins must be "*", or a list of origins: ["https://shop.example"].',
    );
  for (const [name, list] of Object.entries({ headers, exposedHeaders }))
    if (list !== undefined && !(Array.isArray(list) && list.every(isHeaderName)))
      throw new TypeError(`cors.${name} must be a list of header names.`);
  if (credentials !== undefined && typeof credentials !== "boolean")
    throw new TypeError("cors.credentials must be true or false.");
  if (credentials === true && origins === "*")
    throw new TypeError(
      "cors.credentials requires explicit origins: * would let any page act as its user.",
    );
}

function isMethod(method: unknown): boolean {
  return method === "*" || HTTP_METHODS.some((known) => known === method);
}

function isSize(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= MAX_BODY_BYTES;
}

function isHeaderName(name: unknown): boolean {
  return typeof name === "string" && /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/.test(name);
}
