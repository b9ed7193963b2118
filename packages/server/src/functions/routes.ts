import { PylonError } from "@pylonsync/protocol";
import type { FnDefinition } from "@pylonsync/functions";
import type { RequestContext } from "../request/context.ts";
import { networkOf } from "../request/network.ts";
import type { RateLimiter } from "../request/rate-limit.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { streamCall } from "./call-stream.ts";
import type { Call, Functions, Runner } from "./runner.ts";

/** Calls, streamed calls, webhooks and the list of functions. */
export function functionRoutes(
  runner: Runner,
  functions: () => Functions,
  limiter: RateLimiter,
): Route[] {
  const call = async (context: RequestContext): Promise<Answer> => {
    const name = context.param("name");
    const definition = runner.find(name);
    await limiter.count(() => `${name}:${context.caller.userId ?? networkOf(context.address)}`);
    const args = await context.json({});
    const request = callOf(context, definition);
    if (context.request.headers.get("accept")?.includes("text/event-stream") === true) {
      return streamCall(
        (stream, signal) => runner.run(name, definition, args, { ...request, stream, signal }),
        context.requestId,
      );
    }
    return json(await runner.run(name, definition, args, request));
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
    await limiter.count(() => `${name}:${networkOf(context.address)}`);
    const rawBody = await context.text();
    const { pathname, search } = context.url;
    const request = {
      method: context.request.method,
      path: pathname + search,
      headers: Object.fromEntries(context.request.headers),
      rawBody,
    };
    return json(
      await runner.run(name, definition, { rawBody }, { ...callOf(context, definition), request }),
    );
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
    ...(["GET", "POST", "PUT", "PATCH", "DELETE"] as const).map((method): Route => ({
      method,
      path: "/api/webhooks/:name",
      body: "rows",
      access: "anyone",
      scope: "functions",
      handle: webhook,
    })),
  ];
}

function callOf(context: RequestContext, definition: FnDefinition): Call {
  const opId = context.request.headers.get("idempotency-key");
  if (opId !== null && (opId === "" || opId.length > 128)) {
    throw new PylonError("INVALID_DATA", "An Idempotency-Key has 1 to 128 characters.", {
      field: "Idempotency-Key",
    });
  }
  return {
    caller: context.caller,
    requestId: context.requestId,
    opId: definition.type === "mutation" ? (opId ?? undefined) : undefined,
  };
}
