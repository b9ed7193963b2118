import { actingCaller } from "./acting-caller.ts";
import { isRowId, PylonError } from "@pylonsync/protocol";
import {
  isStandardSchema,
  jsonSchemaOf,
  WEBHOOK_METHODS,
  type FnDefinition,
} from "@pylonsync/functions";
import { ANONYMOUS, type Caller } from "../identity/identity.ts";
import { operationOf } from "../data/idempotency.ts";
import type { RequestContext } from "../request/context.ts";
import { checkKeyScope } from "../identity/key-scope.ts";
import { readerShare } from "../request/reading.ts";
import { encodedJson, json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { isRecord } from "../util/is-record.ts";
import type { EncodedResult } from "./encode-result.ts";
import { streamCall } from "./call-stream.ts";
import type { HttpTable } from "./http-table.ts";
import type { FunctionLimits } from "./function-limits.ts";
import type { Traces } from "./traces.ts";
import type { Call, Functions } from "./call.ts";
import type { Runner } from "./runner.ts";

/** The services of the function routes. */
export interface FunctionRouteServices {
  readonly runner: Runner;
  readonly functions: () => Functions;
  readonly limits: FunctionLimits;
  readonly traces: Traces;
  readonly http: () => Pick<HttpTable, "routes">;
  /** Identifies the caller by the bearer token of a webhook's request. */
  readonly identifyBearer: (request: Request) => Promise<Caller>;
  /** Returns the user with their stored claims. */
  readonly withClaims: (caller: Caller) => Promise<Caller>;
}

/** The routes of calls, streamed calls, webhooks, traces and the list of functions. */
export function functionRoutes(services: FunctionRouteServices): Route[] {
  const { traces } = services;
  const { call, run, webhook, list } = new FunctionHandlers(services);
  const callable = { body: "rows", access: "anyone", scope: "functions" } as const;
  return [
    { method: "GET", path: "/api/fn", access: "admin-or-dev", handle: list },
    {
      method: "GET",
      path: "/api/fn/http",
      access: "admin-or-dev",
      handle: () => json(services.http().routes),
    },
    {
      method: "GET",
      path: "/api/fn/traces",
      access: "admin",
      handle: (context) => json(traces.newest(traceLimit(context.query("limit")))),
    },
    { ...callable, method: "POST", path: "/api/fn/:name", mayNameAuthor: true, handle: call },
    { method: "POST", path: "/api/run", access: "admin", body: "rows", handle: run },
    ...WEBHOOK_METHODS.map((method): Route => ({
      ...callable,
      method,
      path: "/api/webhooks/:name",
      isAnonymous: true,
      handle: webhook,
    })),
  ];
}

const DEFAULT_TRACES = 50;
const MAX_TRACES_ASKED = 500;

/** @throws PylonError INVALID_QUERY */
function traceLimit(text: string | null): number {
  if (text === null) return DEFAULT_TRACES;
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_TRACES_ASKED) return limit;
  throw new PylonError("INVALID_QUERY", "limit is not a valid number of traces.", {
    field: "limit",
    hint: `Use a whole number from 1 to ${MAX_TRACES_ASKED}.`,
  });
}

/** @throws PylonError INVALID_ARGS */
function runOf(body: unknown): {
  readonly name: string;
  readonly args: unknown;
  readonly caller: Caller | null;
} {
  if (!isRecord(body)) throw invalidRun("body", "The body must be an object.");
  const { function: name, args = {}, as = null, ...others } = body;
  const [other] = Object.keys(others);
  if (other !== undefined) throw invalidRun(other, `Unknown field "${other.slice(0, 80)}".`);
  if (typeof name !== "string")
    throw invalidRun("function", "function must be the name of a function.");
  return { name, args, caller: as === null ? null : callerOf(as) };
}

/** The admin may call a function as any user, and with any roles: it may do everything anyway. */
function callerOf(as: unknown): Caller {
  try {
    if (isRowId(as) || isRecord(as)) return actingCaller(as);
  } catch (error) {
    if (!(error instanceof PylonError)) throw error;
  }
  throw invalidRun("as", "as must be the id of a user, or an identity.");
}

function invalidRun(field: string, message: string): PylonError {
  return new PylonError("INVALID_ARGS", message, {
    field,
    hint:
      'Send {"function": "name"}, and optionally "args" and "as": the id of a user, or ' +
      '{"userId", "tenantId", "roles", "claims", "isAdmin", "isGuest"}.',
  });
}

/** The handlers of the routes. */
class FunctionHandlers {
  readonly #runner: Runner;
  readonly #functions: () => Functions;
  readonly #limits: FunctionLimits;
  readonly #identifyBearer: FunctionRouteServices["identifyBearer"];
  readonly #withClaims: FunctionRouteServices["withClaims"];

  constructor(services: FunctionRouteServices) {
    this.#runner = services.runner;
    this.#functions = services.functions;
    this.#limits = services.limits;
    this.#identifyBearer = services.identifyBearer;
    this.#withClaims = services.withClaims;
  }

  /** Not an `async` function, because each promise adds to the cost of the shortest calls. */
  readonly call = (context: RequestContext): Promise<Answer> => {
    const name = context.param("name");
    const definition = this.#runner.find(name);
    const run = (): Promise<Answer> =>
      context.useJson({}, (args) => this.#run(context, name, definition, args));
    const { caller } = context;
    return this.#limits.concerns(definition)
      ? this.#limits.count(name, definition, { caller, address: () => context.address }).then(run)
      : run();
  };

  #run(
    context: RequestContext,
    name: string,
    definition: FnDefinition,
    args: unknown,
  ): Answer | Promise<Answer> {
    const call = callOf(context, name, definition, args);
    if (context.request.headers.get("accept")?.includes("text/event-stream") === true)
      return this.#stream(name, definition, args, call);
    const result = this.#runner.run(name, definition, args, call);
    return result instanceof Promise ? result.then(answerOf) : answerOf(result);
  }

  #stream(name: string, definition: FnDefinition, args: unknown, call: Call): Answer {
    return streamCall(
      async (stream, signal) =>
        this.#runner.run(name, definition, args, { ...call, stream, signal }),
      call.requestId,
    );
  }

  /** Runs any function for an admin, including internal ones, as the admin or as any user. */
  readonly run = async (context: RequestContext): Promise<Answer> => {
    const { name, args, caller } = runOf(await context.json({}));
    const definition = this.#functions().get(name) ?? this.#runner.find(name);
    const call = {
      caller: caller === null ? context.caller : await this.#withClaims(caller),
      readerShare: () => readerShare(context),
      requestId: context.requestId,
      isForOperators: true,
      // Internal functions have no check of the caller; other functions check the given user.
      isTrusted: definition.internal === true,
    };
    return encodedJson((await this.#runner.run(name, definition, args, call)).json);
  };

  readonly webhook = async (context: RequestContext): Promise<Answer> => {
    const name = context.param("name");
    const definition = this.#runner.find(name);
    const { bearer = false } = webhookOf(name, definition, context.request.method);
    const address = (): string => context.address;
    await this.#limits.count(name, definition, { caller: ANONYMOUS, address });
    const rawBody = await context.exactText();
    const caller = bearer ? await this.#identifyBearer(context.request) : ANONYMOUS;
    checkKeyScope(caller, "functions", context.params);
    const { method, headers } = context.request;
    const call = {
      caller,
      readerShare: () => readerShare({ caller, address: context.address }),
      requestId: context.requestId,
      request: { method, path: context.target, headers: Object.fromEntries(headers), rawBody },
    };
    return encodedJson((await this.#runner.run(name, definition, { rawBody }, call)).json);
  };

  readonly list = (): Answer =>
    json(
      [...this.#functions()].map(([name, { type, args, internal }]) => ({
        name,
        fn_type: type,
        ...argsSchemaOf(args),
        ...(internal === true ? { internal } : {}),
      })),
    );
}

function answerOf({ json: text }: EncodedResult): Answer {
  return encodedJson(text);
}

/** Returns the arguments for the list of functions: our validators, or JSON Schema. */
function argsSchemaOf(args: FnDefinition["args"]): { readonly args_schema?: unknown } {
  const shown = isStandardSchema(args) ? jsonSchemaOf(args) : args;
  return shown === undefined || shown === null ? {} : { args_schema: shown };
}

/**
 * Returns the webhook settings of a function, if its webhook accepts this method.
 *
 * @throws PylonError NOT_AN_ACTION, METHOD_NOT_ALLOWED
 */
export function webhookOf(
  name: string,
  definition: FnDefinition,
  method: string,
): NonNullable<FnDefinition["webhook"]> {
  if (definition.type !== "action") {
    throw new PylonError(
      "NOT_AN_ACTION",
      `"${name}" is a ${definition.type}; only an action can receive webhooks.`,
    );
  }
  const { webhook = {} } = definition;
  const { methods = ["POST"] } = webhook;
  if (!methods.some((declared) => declared === method)) throw notDeclared(name, method, methods);
  return webhook;
}

/** @param body the request's body, which belongs to the Idempotency-Key of a mutation */
function callOf(
  context: RequestContext,
  name: string,
  definition: FnDefinition,
  body: unknown,
): Call {
  const op = operationOf(context.request.headers, `fn ${name}`, body);
  return {
    caller: context.caller,
    readerShare: () => readerShare(context),
    requestId: context.requestId,
    op: definition.type === "mutation" ? op : undefined,
  };
}

function notDeclared(name: string, method: string, methods: readonly string[]): PylonError {
  return new PylonError("METHOD_NOT_ALLOWED", `The webhook "${name}" does not allow ${method}.`, {
    hint:
      `It takes ${methods.join(", ")}; an action declares others as ` +
      `webhook: { methods: ["${method}"] }.`,
  });
}
