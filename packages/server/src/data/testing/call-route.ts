import { systemPlatform } from "../../platform.ts";
import { RequestContext, type Method } from "../../request/context.ts";
import {
  errorAnswer,
  JsonAnswer,
  StreamAnswer,
  toPublicError,
  type Answer,
} from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { Transfers } from "../../request/transfers.ts";
import type { Caller } from "../../identity/identity.ts";

/** The arguments of a call of a route, in addition to its method and path. */
export interface RouteCall {
  readonly caller: Caller;
  readonly params?: Readonly<Record<string, string>>;
  /** `?limit=1` */
  readonly search?: string;
  readonly body?: unknown;
  /** A body that is not JSON. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Calls a route without a listener. @returns its response or error, as a status and JSON */
export async function callRoute(
  routes: readonly Route[],
  method: Method,
  path: string,
  call: RouteCall,
): Promise<{ readonly status: number; readonly body: unknown }> {
  try {
    const answer = await handle(routes, method, path, call);
    if (!(answer instanceof JsonAnswer)) throw new Error("The answer is not JSON.");
    return { status: answer.status, body: JSON.parse(answer.text()) };
  } catch (error) {
    const refusal = toPublicError(error);
    if (refusal === undefined) throw error;
    const answer = errorAnswer(refusal, "request");
    return { status: answer.status, body: JSON.parse(answer.text()) };
  }
}

/** Calls a route that streams its response. @returns all chunks */
export async function readStream(
  routes: readonly Route[],
  method: Method,
  path: string,
  call: RouteCall,
): Promise<string> {
  const answer = await handle(routes, method, path, call);
  if (!(answer instanceof StreamAnswer)) throw new Error("The answer is not a stream.");
  let text = "";
  for (;;) {
    const piece = await answer.pieces.next();
    if (piece.done === true) return text;
    text += piece.value;
  }
}

async function handle(
  routes: readonly Route[],
  method: Method,
  path: string,
  { caller, params = {}, search = "", body, text, headers = {} }: RouteCall,
): Promise<Answer> {
  const route = routes.find((known) => known.method === method && known.path === path);
  if (route === undefined) throw new Error(`There is no route ${method} ${path}.`);
  const request = new Request(`http://localhost${path}${search}`, {
    method,
    headers,
    body: text ?? (body === undefined ? null : JSON.stringify(body)),
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
  return await route.handle(context);
}
