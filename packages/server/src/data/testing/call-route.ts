import { systemPlatform } from "../../platform.ts";
import { RequestContext, type Method } from "../../request/context.ts";
import { errorAnswer, JsonAnswer, toPublicError } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { Transfers } from "../../request/transfers.ts";
import type { Caller } from "../../identity/identity.ts";

/** What a route is called with, besides its method and path. */
export interface RouteCall {
  readonly caller: Caller;
  readonly params?: Readonly<Record<string, string>>;
  /** `?limit=1` */
  readonly search?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Calls a route without a listener: what it answers, or refuses, as a status and JSON. */
export async function callRoute(
  routes: readonly Route[],
  method: Method,
  path: string,
  { caller, params = {}, search = "", body, headers = {} }: RouteCall,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const route = routes.find((known) => known.method === method && known.path === path);
  if (route === undefined) throw new Error(`There is no route ${method} ${path}.`);
  const request = new Request(`http://localhost${path}${search}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const limit = route.body === undefined || route.body === "stream" ? "none" : route.body;
  using context = new RequestContext(
    request,
    params,
    { caller, sessionId: null, expiresAt: Infinity },
    () => "127.0.0.1",
    "request",
    () => Promise.resolve(),
    { limit, transfers: new Transfers(Infinity, systemPlatform), key: () => "127.0.0.1" },
  );
  try {
    const answer = await route.handle(context);
    if (!(answer instanceof JsonAnswer)) throw new Error("The answer is not JSON.");
    return { status: answer.status, body: JSON.parse(answer.text()) };
  } catch (error) {
    const refusal = toPublicError(error);
    if (refusal === undefined) throw error;
    const answer = errorAnswer(refusal, "request");
    return { status: answer.status, body: JSON.parse(answer.text()) };
  }
}
