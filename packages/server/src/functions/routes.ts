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
  const call = async (context: RequestContext): Promise<Answer> => {
    const name = context.param("name");
    const definition = runner.find(name);
    await limiter.count(() => `${name}:${context.caller.userId ?? networkOf(context.address)}`);
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

  const webhook = async (context: RequestContext): Promise<Answer> => {
    const name = context.param("name");
    const definition = runner.find(name);
    if (definition.type !== "action") {
      throw new PylonError(
        "NOT_AN_ACTION",
        `"${name}" is a ${definition.type}; only an action can take a webhook.`,
      );
    }
    const { methods = ["POST"], bearer = false } = definition.webhook ?? {};
    const { method, headers } = context.request;
    if (!methods.some((declared) => declared === method)) throw notDeclared(name, method, methods);
    await limiter.count(() => `${name}:${networkOf(context.address)}`);
    const rawBody = await context.text();
    const caller = bearer ? await identifyBearer(context.request) : ANONYMOUS;
    checkKeyScope(caller, "functions", context.params);
    const request = {
      method,
      path: context.target,
      headers: Object.fromEntries(headers),
      rawBody,
    };
    const call = {
      caller,
      readerShare: readerShare({ caller, address: context.address }),
      requestId: context.requestId,
      request,
    };
    return encodedJson((await runner.run(name, definition, { rawBody }, call)).json);
  };

  const list = (): Answer =>
    json(
      [...functions()].map(([name, { type, args, internal }]) => ({
        name,
        fn_type: type,
        ...(args === undefined ? {} : { args_schema: args }),
        ...(internal === true ? { internal } : {}),
      })),
    );

  return [
    { method: "GET", path: "/api/fn", access: "admin-or-dev", handle: list },
    {
      method: "POST",
      path: "/api/fn/:name",
      body: "rows",
      access: "anyone",
      scope: "functions",
      handle: call,
    },
    ...WEBHOOK_METHODS.map((method): Route => ({
      method,
      path: "/api/webhooks/:name",
      body: "rows",
      access: "anyone",
      scope: "functions",
      isAnonymous: true,
      handle: webhook,
    })),
  ];
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
    hint: `It takes ${methods.join(", ")}; an action declares others as webhook: { methods: ["${method}"] }.`,
  });
}
