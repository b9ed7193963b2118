import { PylonError } from "@pylonsync/protocol";
import { WEBHOOK_METHODS, type FnDefinition } from "@pylonsync/functions";
import { ANONYMOUS, type Caller } from "../identity/identity.ts";
import { operationOf } from "../data/idempotency.ts";
import type { RequestContext } from "../request/context.ts";
import { checkKeyScope } from "../identity/key-scope.ts";
import { networkOf } from "../request/network.ts";
import { readerShare } from "../request/reading.ts";
import type { RateLimiter } from "../request/rate-limit.ts";
import { encodedJson, json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { streamCall } from "./call-stream.ts";
import type { Call, Functions, Runner } from "./runner.ts";

/**
 * Calls, streamed calls, webhooks and the list of functions.
 *
 * @param identifyBearer whose token a request has in its Authorization header
 */
export function functionRoutes(
  runner: Runner,
  functions: () => Functions,
  limiter: RateLimiter,
  identifyBearer: (request: Request) => Promise<Caller>,
): Route[] {
  const { call, webhook, list } = new FunctionHandlers(runner, functions, limiter, identifyBearer);
  const callable = { body: "rows", access: "anyone", scope: "functions" } as const;
  return [
    { method: "GET", path: "/api/fn", access: "admin-or-dev", handle: list },
    { ...callable, method: "POST", path: "/api/fn/:name", handle: call },
    ...WEBHOOK_METHODS.map((method): Route => ({
      ...callable,
      method,
      path: "/api/webhooks/:name",
      isAnonymous: true,
      handle: webhook,
    })),
  ];
}

/** What each of the routes does. */
class FunctionHandlers {
  readonly #runner: Runner;
  readonly #functions: () => Functions;
  readonly #limiter: RateLimiter;
  readonly #identifyBearer: (request: Request) => Promise<Caller>;

  constructor(
    runner: Runner,
    functions: () => Functions,
    limiter: RateLimiter,
    identifyBearer: (request: Request) => Promise<Caller>,
  ) {
    this.#runner = runner;
    this.#functions = functions;
    this.#limiter = limiter;
    this.#identifyBearer = identifyBearer;
  }

  readonly call = async (context: RequestContext): Promise<Answer> => {
    const runner = this.#runner;
    const name = context.param("name");
    const definition = runner.find(name);
    await this.#limiter.count(
      () => `${name}:${context.caller.userId ?? networkOf(context.address)}`,
    );
    const args = await context.json({});
    const request = callOf(context, name, definition, args);
    if (context.request.headers.get("accept")?.includes("text/event-stream") === true) {
      return streamCall(
        (stream, signal) => runner.run(name, definition, args, { ...request, stream, signal }),
        context.requestId,
      );
    }
    return encodedJson((await runner.run(name, definition, args, request)).json);
  };

  readonly webhook = async (context: RequestContext): Promise<Answer> => {
    const name = context.param("name");
    const definition = this.#runner.find(name);
    const { bearer = false } = refuseOtherMethods(name, definition, context.request.method);
    await this.#limiter.count(() => `${name}:${networkOf(context.address)}`);
    const rawBody = await context.text();
    const caller = bearer ? await this.#identifyBearer(context.request) : ANONYMOUS;
    checkKeyScope(caller, "functions", context.params);
    const { method, headers } = context.request;
    const call = {
      caller,
      readerShare: readerShare({ caller, address: context.address }),
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
        ...(args === undefined ? {} : { args_schema: args }),
        ...(internal === true ? { internal } : {}),
      })),
    );
}

/**
 * @returns the settings of the webhook
 * @throws PylonError NOT_AN_ACTION, METHOD_NOT_ALLOWED
 */
function refuseOtherMethods(
  name: string,
  definition: FnDefinition,
  method: string,
): NonNullable<FnDefinition["webhook"]> {
  if (definition.type !== "action") {
    throw new PylonError(
      "NOT_AN_ACTION",
      `"${name}" is a ${definition.type}; only an action can take a webhook.`,
    );
  }
  const { webhook = {} } = definition;
  const { methods = ["POST"] } = webhook;
  if (!methods.some((declared) => declared === method)) throw notDeclared(name, method, methods);
  return webhook;
}

/** @param body what was sent, which belongs to the Idempotency-Key of a mutation */
function callOf(
  context: RequestContext,
  name: string,
  definition: FnDefinition,
  body: unknown,
): Call {
  const op = operationOf(context.request.headers, `fn ${name}`, body);
  return {
    caller: context.caller,
    readerShare: readerShare(context),
    requestId: context.requestId,
    op: definition.type === "mutation" ? op : undefined,
  };
}

function notDeclared(name: string, method: string, methods: readonly string[]): PylonError {
  return new PylonError("METHOD_NOT_ALLOWED", `The webhook "${name}" does not take ${method}.`, {
    hint:
      `It takes ${methods.join(", ")}; an action declares others as ` +
      `webhook: { methods: ["${method}"] }.`,
  });
}
