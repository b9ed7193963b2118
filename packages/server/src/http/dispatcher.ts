import { parseBearerProtocol, PylonError } from "@pylonsync/protocol";
import { ANONYMOUS_IDENTITY, type Identity } from "../data/caller.ts";
import type { Sessions } from "../auth/sessions.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { bearerToken } from "../request/bearer.ts";
import { RequestContext } from "../request/context.ts";
import type { RateLimiter } from "../request/rate-limit.ts";
import { errorResponse, toPublicError } from "../request/responses.ts";
import { checkAccess, type Route } from "../request/route.ts";
import { cursorOf, type SocketStart } from "../sync/websocket.ts";
import { clientAddress } from "./client-address.ts";
import type { Origins } from "./origins.ts";

export interface DispatcherOptions {
  readonly dev: boolean;
  readonly trustedHops: number;
  readonly sessions: Sessions;
  readonly origins: Origins;
  readonly limiter: RateLimiter;
  readonly log: Log;
  readonly metrics: Metrics;
}

const COMMON_HEADERS: readonly (readonly [string, string])[] = [
  ["X-Content-Type-Options", "nosniff"],
  ["X-Frame-Options", "DENY"],
  ["Referrer-Policy", "strict-origin-when-cross-origin"],
  ["Permissions-Policy", "camera=(), microphone=(), geolocation=()"],
];

/** Takes a request through what all have in common: limits, identity, access, errors, headers, metrics, the access log. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #idPrefix = crypto.randomUUID().slice(0, 8);
  #requests = 0;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Answers with the route for the request's method, or 405. */
  async dispatch(routes: ReadonlyMap<string, Route>, request: Request, params: Readonly<Record<string, string>>, peer: string): Promise<Response> {
    const route = routes.get(request.method === "HEAD" ? "GET" : request.method);
    if (route === undefined) return this.#withoutRoute(routes, request, peer);
    return this.#run(route.path, request, peer, route.quiet === true, async (address, requestId) => {
      const identity = await this.#options.sessions.identify(bearerToken(request.headers));
      const context = new RequestContext(request, params, identity, address, requestId);
      checkAccess(route.access, context, this.#options.dev);
      return route.handle(context);
    });
  }

  /** Answers a request that is not in the table of routes: `handle` may throw a PylonError. */
  serve(name: string, request: Request, peer: string, handle: (identity: () => Promise<Identity>) => Promise<Response>): Promise<Response> {
    return this.#run(name, request, peer, false, async () => handle(() => this.#options.sessions.identify(bearerToken(request.headers))));
  }

  /**
   * Who opens a socket, and where its replica is. A bad token is not refused here: a browser can't read a refused handshake, so the socket
   * is opened and closed with a code.
   *
   * @throws PylonError ORIGIN_REJECTED, RATE_LIMITED, INVALID_QUERY
   */
  async identifySocket(request: Request, address: string): Promise<SocketStart & { readonly protocol: string | undefined }> {
    this.checkOrigin(request);
    await this.#options.limiter.count(address);
    const header = request.headers.get("sec-websocket-protocol");
    const offered = parseBearerProtocol(header);
    const token = bearerToken(request.headers) ?? offered?.token ?? null;
    const isBroken = token === null && header?.includes("bearer.") === true;
    const cursor = cursorOf(new URL(request.url).searchParams);
    return { identity: isBroken ? null : await this.#identifyOrNull(token), cursor, protocol: offered?.protocol };
  }

  /** @throws PylonError ORIGIN_REJECTED when a page of a foreign site asks */
  checkOrigin(request: Request): void {
    const origin = request.headers.get("origin");
    if (this.#options.origins.allows(origin, request.headers.get("host"))) return;
    throw new PylonError("ORIGIN_REJECTED", `Pages of ${origin ?? ""} may not connect.`, { hint: "Add the origin to PYLON_CORS_ORIGIN." });
  }

  addressOf(request: Request, peer: string): string {
    return clientAddress(peer, request.headers.get("x-forwarded-for"), this.#options.trustedHops);
  }

  async #identifyOrNull(token: string | null): Promise<Identity | null> {
    if (token === null) return ANONYMOUS_IDENTITY;
    try {
      return await this.#options.sessions.identify(token);
    } catch (error) {
      if (error instanceof PylonError) return null;
      throw error;
    }
  }

  async #run(
    name: string,
    request: Request,
    peer: string,
    isQuiet: boolean,
    handle: (address: string, requestId: string) => Promise<Response>,
  ): Promise<Response> {
    const started = performance.now();
    const requestId = `${this.#idPrefix}-${(this.#requests += 1).toString(36)}`;
    const address = this.addressOf(request, peer);
    let response: Response;
    try {
      if (!isQuiet) await this.#options.limiter.count(address);
      response = await handle(address, requestId);
    } catch (error) {
      response = this.#refuse(error, request, requestId);
    }
    this.#dress(response, request, requestId);
    if (!isQuiet) this.#record(name, request, response.status, performance.now() - started, requestId);
    return response;
  }

  #withoutRoute(routes: ReadonlyMap<string, Route>, request: Request, peer: string): Promise<Response> {
    if (request.method === "OPTIONS") {
      return Promise.resolve(this.#options.origins.preflight(request.headers.get("origin"), request.headers.get("host")));
    }
    const allowed = [...routes.keys()].join(", ");
    return this.#run("unknown", request, peer, false, async () => {
      throw new PylonError("METHOD_NOT_ALLOWED", `${request.method} is not possible here.`, { hint: `Possible: ${allowed}.` });
    });
  }

  #refuse(error: unknown, request: Request, requestId: string): Response {
    const shown = toPublicError(error);
    if (shown === undefined) this.#options.log.error("request failed", error, { request_id: requestId, method: request.method });
    return errorResponse(shown ?? new PylonError("INTERNAL", "Something failed on our side.", { hint: `The server's log has the reason under request ${requestId}.` }), requestId);
  }

  #dress(response: Response, request: Request, requestId: string): void {
    const { headers } = response;
    for (const [name, value] of COMMON_HEADERS) headers.set(name, value);
    headers.set("X-Request-Id", requestId);
    const origin = request.headers.get("origin");
    if (origin === null) return;
    for (const [name, value] of Object.entries(this.#options.origins.headers(origin, request.headers.get("host")))) headers.set(name, value);
  }

  #record(name: string, request: Request, status: number, durationMs: number, requestId: string): void {
    this.#options.metrics.request(name, request.method, status, durationMs);
    const { log } = this.#options;
    if (status < 500 && !log.isOn("debug")) return;
    const fields = { route: name, method: request.method, status, ms: Math.round(durationMs * 10) / 10, request_id: requestId };
    if (status >= 500) log.warn("request", fields);
    else log.debug("request", fields);
  }
}
