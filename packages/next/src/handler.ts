/**
 * Makes the Pylon server's API a part of the Next app's own origin.
 *
 * @module
 */
import { urlOf, type PylonSettings } from "./settings.ts";

/** They belong to one connection, not to the message (RFC 9110, 7.6.1). */
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];
/** Set again by the sender of the forwarded message; `fetch` has decoded the body. */
const RESET = ["host", "content-length", "accept-encoding", "expect"];
const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

/** A route handler of the App Router. */
export type RouteHandler = (request: Request) => Promise<Response>;

/** A route handler for each method. */
export interface PylonHandler {
  readonly GET: RouteHandler;
  readonly HEAD: RouteHandler;
  readonly POST: RouteHandler;
  readonly PUT: RouteHandler;
  readonly PATCH: RouteHandler;
  readonly DELETE: RouteHandler;
  readonly OPTIONS: RouteHandler;
}

/**
 * Route handlers that pass `/api/...` and `/auth/...` on to the Pylon server, so that its cookies
 * are this origin's own. Bodies stream both ways. Sockets are not passed on: give `PylonProvider`
 * the Pylon server's `socketUrl`.
 *
 * @example
 * // app/api/[...path]/route.ts, and app/auth/[...path]/route.ts for the pages to sign in at
 * export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = createPylonHandler();
 */
export function createPylonHandler(settings: Pick<PylonSettings, "url"> = {}): PylonHandler {
  const handle: RouteHandler = (request) => passOn(request, settings);
  return {
    GET: handle,
    HEAD: handle,
    POST: handle,
    PUT: handle,
    PATCH: handle,
    DELETE: handle,
    OPTIONS: handle,
  };
}

async function passOn(request: Request, settings: Pick<PylonSettings, "url">): Promise<Response> {
  const target = targetOf(request, urlOf(settings));
  if (target === null) return problem(404, "NOT_FOUND", "There is nothing at this path.");
  const init: RequestInit & { duplex?: "half" } = {
    method: request.method,
    headers: sentOn(request.headers),
    // Where a browser is sent, the browser goes.
    redirect: "manual",
    cache: "no-store",
    signal: request.signal,
    ...(request.body === null ? {} : { body: request.body, duplex: "half" }),
  };
  let answer: Response;
  try {
    answer = await fetch(target, init);
  } catch {
    return problem(502, "UPSTREAM_UNREACHABLE", "The server can't be reached.");
  }
  const headers = without(answer.headers);
  headers.delete("content-encoding");
  if (answer.headers.has("content-encoding") && request.method !== "HEAD")
    headers.delete("content-length");
  return new Response(
    WITHOUT_BODY.has(answer.status) || request.method === "HEAD" ? null : answer.body,
    { status: answer.status, headers },
  );
}

/**
 * Where the request goes: below `/api` or `/auth` of the Pylon server. Null for a path that leads
 * elsewhere once it is read another time.
 */
function targetOf(request: Request, server: string): URL | null {
  const { pathname, search } = new URL(request.url);
  const target = new URL(server + pathname + search);
  const isSame = target.origin === new URL(server).origin && target.pathname.endsWith(pathname);
  return isSame && /^\/(api|auth)\//.test(pathname) && !/%2e|%5c|\/\//i.test(pathname)
    ? target
    : null;
}

/**
 * What the browser sent, unchanged where the Pylon server decides by it: Cookie, Origin and
 * Sec-Fetch-Site tell which page writes, X-Forwarded-For who asks. Next has set X-Forwarded-Host
 * and -Proto.
 */
function sentOn(received: Headers): Headers {
  const headers = without(received);
  for (const name of RESET) headers.delete(name);
  // What comes back is passed on as it is.
  headers.set("accept-encoding", "identity");
  return headers;
}

/** All headers but those of the connection, and those that it names as such. */
function without(received: Headers): Headers {
  const headers = new Headers(received);
  const named = (received.get("connection") ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase());
  for (const name of [...HOP_BY_HOP, ...named]) if (/^[\w-]+$/.test(name)) headers.delete(name);
  return headers;
}

function problem(status: number, code: string, message: string): Response {
  return Response.json(
    { error: { code, message } },
    { status, headers: { "Cache-Control": "no-store" } },
  );
}
