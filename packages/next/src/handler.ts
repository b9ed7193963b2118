/**
 * Serves the Pylon server's API from the Next.js app's own origin.
 *
 * @module
 */
import { urlOf, type PylonSettings } from "./settings.ts";

/** Headers of a connection and not of the message (RFC 9110, 7.6.1). */
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
/** Headers that the new request sets itself; `fetch` has decoded the body. */
const RESET = ["host", "content-length", "accept-encoding", "expect"];
const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

/** A route handler of the App Router. */
export type RouteHandler = (request: Request) => Promise<Response>;

/** A route handler per HTTP method. */
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
 * Creates route handlers that forward `/api/...` and `/auth/...` to the Pylon server, so that its
 * cookies belong to this origin. Bodies are streamed in both directions. WebSockets are not
 * forwarded: set `socketUrl` of `PylonProvider`.
 *
 * @example
 * // app/api/[...path]/route.ts, and app/auth/[...path]/route.ts for the pages to sign in at
 * export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = createPylonHandler();
 */
export function createPylonHandler(settings: Pick<PylonSettings, "url"> = {}): PylonHandler {
  const handle: RouteHandler = (request) => forward(request, settings);
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

async function forward(request: Request, settings: Pick<PylonSettings, "url">): Promise<Response> {
  const target = targetOf(request, urlOf(settings));
  if (target === null) return problem(404, "NOT_FOUND", "There is no route at this path.");
  const init: RequestInit & { duplex?: "half" } = {
    method: request.method,
    headers: sentOn(request.headers),
    // Redirects are followed by the browser.
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
 * Returns the target URL, below `/api` or `/auth` of the Pylon server. Null for a path that would
 * lead elsewhere after another round of decoding.
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
 * Forwards the headers on which the Pylon server's checks are based: Cookie, Origin and
 * Sec-Fetch-Site identify the page, and X-Forwarded-For the client. Next.js has set
 * X-Forwarded-Host and -Proto.
 */
function sentOn(received: Headers): Headers {
  const headers = without(received);
  for (const name of RESET) headers.delete(name);
  // The response is forwarded unchanged.
  headers.set("accept-encoding", "identity");
  return headers;
}

/** Removes the headers of the connection, and those that it names as such. */
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
