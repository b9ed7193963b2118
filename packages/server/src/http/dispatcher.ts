import { PylonError } from "@pylonsync/protocol";
import type { Identity } from "../identity/identity.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Tracing } from "../observe/tracing.ts";
import { reasonOf, runIn, type Operation, type Span } from "../observe/operation.ts";
import { type Platform } from "../platform.ts";
import { bearerToken } from "../request/bearer.ts";
import { RequestContext } from "../request/context.ts";
import type { Endpoint } from "../request/endpoint.ts";
import { networkOf } from "../util/network.ts";
import type { RateLimiter } from "../request/rate-limit.ts";
import { errorAnswer, toPublicError, type Answer, type JsonAnswer } from "../request/responses.ts";
import { checkAccess, type Route } from "../request/route.ts";
import { countedResponse } from "./counted-response.ts";
import type { Transfers } from "../request/transfers.ts";
import { Turns } from "../request/turns.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { CallerIdentity, type CallerIdentityOptions, type Peer } from "./caller-identity.ts";
import type { DevHosts } from "./dev-hosts.ts";
import { Exchange, type RequestKind } from "./exchange.ts";
import { withOwnHeaders } from "./own-headers.ts";
import { RequestIds } from "./request-ids.ts";
import { RequestRecord } from "./request-record.ts";
import { SocketStarts } from "./socket-starts.ts";

/** The settings and services that all requests share. */
export interface DispatcherOptions extends CallerIdentityOptions {
  readonly dev: boolean;
  /** Null outside of dev mode: there a proxy in front decides which hosts are served. */
  readonly devHosts: DevHosts | null;
  /** For how long browsers must use only https, in seconds; 0: no header is sent. */
  readonly hstsMaxAge: number;
  readonly limiter: RateLimiter;
  /** Bodies that are being received. */
  readonly bodies: Transfers;
  /** Responses that are being sent. */
  readonly answers: Transfers;
  /** The same for responses that are not rejected, because their requests can't be repeated. */
  readonly onceAnswers: Transfers;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly platform: Platform;
  /** Whether every request is logged. */
  readonly accessLog: boolean;
}

/** The routes that set and clear the session's cookie. */
const AUTH_PATHS = "/api/auth/";

/**
 * Creates the response to a request. It returns a promise only if it must wait: each asynchronous
 * function in the path of a request adds 0.2 us to the 9 us that an empty one takes.
 */
type Handle = (exchange: Exchange) => Answer | Promise<Answer>;

/**
 * Applies what all requests have in common: limits, identity, access, errors, headers, metrics, the
 * access log.
 */
export class Dispatcher {
  readonly callers: CallerIdentity;
  readonly sockets: SocketStarts;
  readonly #options: DispatcherOptions;
  readonly #writer: AnswerWriter;
  readonly #ids: RequestIds;
  readonly #record: RequestRecord;
  readonly #turns: Turns;
  #isLeaving = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.callers = new CallerIdentity(options);
    this.sockets = new SocketStarts(this.callers, options);
    this.#ids = new RequestIds(options.platform.uuid().slice(0, 8), options.trustedHops > 0);
    this.#record = new RequestRecord(options);
    this.#turns = new Turns(options.platform);
    this.#writer = new AnswerWriter(options, this.#turns);
  }

  /**
   * From now on each response asks its client to open a new connection next, which the load
   * balancer assigns to another server.
   */
  beginDrain(): void {
    this.#isLeaving = true;
    this.#writer.beginDrain();
  }

  /** Responds with the route for the request's method, or 405. */
  dispatch(
    routes: ReadonlyMap<string, Route>,
    request: Request,
    params: Readonly<Record<string, string>>,
    peer: Peer,
  ): Promise<Response> {
    const isHead = request.method === "HEAD";
    const route = routes.get(isHead ? "GET" : request.method);
    if (route === undefined || (isHead && route.isAnonymous === true))
      return this.#withoutRoute(routes, request, peer);
    const kind: RequestKind = {
      name: route.path,
      isQuiet: route.quiet === true,
      isFree: route.quiet === true || route.isLimitedByUser === true,
      acceptsCrossOriginForms: route.acceptsCrossOriginForms === true,
      isOnce: route.method !== "GET" && route.scope !== "read",
    };
    return this.#run(kind, request, peer, (exchange) => {
      if (route.challenge !== undefined) return this.#challenge(route, params, exchange);
      return this.#handle(route, params, exchange);
    });
  }

  /** Identifies the caller, checks its access, and calls the route. */
  #handle(
    route: Route,
    params: Readonly<Record<string, string>>,
    exchange: Exchange,
  ): Answer | Promise<Answer> {
    const { authenticator } = this.#options;
    const { request, address } = exchange;
    refuseNul(params);
    // A page of another site may have sent it, with the cookie of the user who visits that page.
    const isUnidentified =
      route.isAnonymous === true ||
      (route.acceptsCrossOriginForms === true && authenticator.isForeign(request));
    if (isUnidentified) return this.#limited(route, params, exchange);
    if (route.path.startsWith(AUTH_PATHS)) authenticator.checkOrigin(request);
    const identifiedAs = (identity: Identity): Answer | Promise<Answer> => {
      exchange.identity = identity;
      exchange.isIdentified = true;
      return this.#limited(route, params, exchange);
    };
    const identity = this.callers.identifyFor(route, request, address);
    return identity instanceof Promise ? identity.then(identifiedAs) : identifiedAs(identity);
  }

  /** Calls the route if the caller's limits allow it. */
  #limited(
    route: Route,
    params: Readonly<Record<string, string>>,
    exchange: Exchange,
  ): Answer | Promise<Answer> {
    const { limiter } = this.#options;
    return route.isLimitedByUser === true && limiter.isOn
      ? limiter.count(exchange.key).then(() => this.#call(route, params, exchange))
      : this.#call(route, params, exchange);
  }

  #call(
    route: Route,
    params: Readonly<Record<string, string>>,
    exchange: Exchange,
  ): Answer | Promise<Answer> {
    const { answers, authenticator, bodies, dev } = this.#options;
    const { request, identity, isIdentified, address, requestId, key } = exchange;
    if (answers.isBusy) answers.check(key());
    const confirm = isIdentified
      ? () => this.callers.confirm(request, identity, route.tokens)
      : undefined;
    const bounds = { limit: route.body ?? "none", transfers: bodies, key };
    const context = new RequestContext(
      request,
      params,
      identity,
      address,
      requestId,
      confirm,
      bounds,
    );
    exchange.context = context;
    checkAccess(route, context, dev && authenticator.isOwnPage(request));
    return route.handle(context);
  }

  /** Adds the header that says how to get a token for this route to a 401. */
  async #challenge(
    route: Route,
    params: Readonly<Record<string, string>>,
    exchange: Exchange,
  ): Promise<Answer> {
    const { challenge } = route;
    const { request, requestId } = exchange;
    try {
      return await this.#handle(route, params, exchange);
    } catch (error) {
      if (challenge === undefined || !(error instanceof PylonError) || error.status !== 401)
        throw error;
      const value = challenge(request, bearerToken(request.headers) !== null);
      return errorAnswer(error, requestId).withHeaders({ "WWW-Authenticate": value });
    }
  }

  /** Responds to a request that is not in the route table: `handle` may throw a PylonError. */
  serve(
    name: string,
    request: Request,
    peer: Peer,
    handle: (identity: () => Promise<Identity>) => Promise<Answer>,
  ): Promise<Response> {
    return this.#run({ name }, request, peer, () =>
      handle(() => this.callers.identify(request, false, peer)),
    );
  }

  /**
   * Responds to a request outside of the tables with a page of the app. Only missing pages count
   * against a limit: one page has dozens of files, and behind a CDN many people share one address.
   *
   * @param find returns null if there is no page
   */
  servePage(
    request: Request,
    peer: Peer,
    find: () => Promise<Response | null>,
    notFound: () => PylonError,
  ): Promise<Response> {
    return this.#run({ name: "page", isFree: true }, request, peer, async ({ address }) => {
      const page = await find();
      if (page !== null) return page;
      await this.#options.limiter.count(() => networkOf(address()));
      throw notFound();
    });
  }

  /**
   * Responds with an endpoint of the app: the first one that accepts the method, or 405. Pages of
   * other sites may send it anything: cookies are ignored, unless it declares otherwise.
   */
  async serveEndpoint(
    endpoints: readonly Endpoint[],
    request: Request,
    peer: Peer,
  ): Promise<Response> {
    const [first] = endpoints;
    const taking = (method: string): Endpoint | undefined =>
      endpoints.find((candidate) => candidate.takes(method));
    const endpoint = taking(request.method);
    const announced = announcedMethod(request);
    const meant = announced === null ? endpoint : taking(announced);
    const cors = (meant ?? first)?.corsHeaders(request.headers.get("origin")) ?? null;
    if (
      request.method === "OPTIONS" &&
      cors !== null &&
      (endpoint === undefined || announced !== null)
    )
      return withOwnHeaders(new Response(null, { status: 204 }), null, cors);
    // A preflight contains no token, so only a public function can answer it itself.
    if (announced !== null && endpoint?.signIn !== "nothing")
      return this.#withoutRoute(new Set(), request, peer);
    if (endpoint === undefined) {
      const methods = endpoints.flatMap((candidate) => candidate.methods);
      const refusal = await this.#withoutRoute(new Set(methods), request, peer);
      return withOwnHeaders(refusal, null, cors);
    }
    const { name } = endpoint;
    const own: { headers?: Headers } = {};
    const kind = { name, acceptsCrossOriginForms: true, isOnce: true };
    const response = await this.#run(kind, request, peer, async (exchange) => {
      const { address, requestId, key } = exchange;
      const identity = await this.callers.identifyForEndpoint(endpoint, request, address);
      exchange.identity = identity;
      const { bodies } = this.#options;
      const call = { request, identity, address, requestId, bodies, key };
      const response = await endpoint.answer(call);
      own.headers = new Headers(response.headers);
      return response;
    });
    return withOwnHeaders(response, own.headers ?? null, cors);
  }

  #run(kind: RequestKind, request: Request, peer: Peer, handle: Handle): Promise<Response> {
    const requestId = this.#ids.of(request);
    const span = kind.isQuiet === true ? null : this.#options.tracing.request(request, kind.name);
    const operation: Operation = { requestId, where: `${request.method} ${kind.name}`, span };
    const address = (): string => this.callers.addressOf(request, peer);
    const exchange = new Exchange(kind, request, requestId, address);
    return runIn(operation, () => this.#answer(exchange, span, handle));
  }

  /** Creates the response. All that requests have in common is in this one asynchronous method. */
  async #answer(exchange: Exchange, span: Span | null, handle: Handle): Promise<Response> {
    const { monotonic } = this.#options.platform;
    const { kind, request, requestId, address } = exchange;
    const { isQuiet = false, isFree = isQuiet } = kind;
    const { limiter } = this.#options;
    const started = monotonic();
    let response: Response;
    try {
      this.#checkHost(exchange);
      if (!isFree && limiter.isOn) await limiter.count(() => networkOf(address()));
      // Health checks are cheap, and must not wait.
      const turn = isQuiet ? null : this.#turns.next();
      if (turn !== null) await turn;
      const handled = handle(exchange);
      const made = handled instanceof Promise ? await handled : handled;
      const counted = made instanceof Response ? countedResponse(made, request) : made;
      const answer = counted instanceof Promise ? await counted : counted;
      response = this.#writer.write(answer, exchange, (abort) =>
        answersOf(this.#options, kind).open(exchange.key(), abort),
      );
    } catch (error) {
      const refusal = this.#refuse(error, request, requestId);
      if (refusal.status >= 500) span?.fail(reasonOf(error));
      response = this.#writer.write(refusal, exchange, null);
    } finally {
      exchange[Symbol.dispose]();
    }
    const { status } = response;
    if (!isQuiet) this.#record.add(kind.name, request, status, monotonic() - started, address);
    span?.set("http.response.status_code", status);
    span?.end();
    return response;
  }

  /** @throws PylonError if a page that must not call this server in dev mode has sent it */
  #checkHost({ kind, request }: Exchange): void {
    const { dev, devHosts } = this.#options;
    devHosts?.check(request.headers.get("host"));
    if (dev && kind.acceptsCrossOriginForms !== true) this.callers.checkDevOrigin(request);
  }

  /**
   * Responds to an error that nothing else has caught: an internal error before or after a route.
   *
   * @param request null if it is unknown: the runtime failed to send a response body
   */
  fault(error: unknown, request: Request | null): Response {
    const requestId = this.#ids.of(request);
    const operation: Operation = { requestId, where: "listener", span: null };
    return runIn(operation, () => {
      const refusal = this.#refuse(error, request, requestId);
      this.#options.metrics.request("unknown", request?.method ?? "GET", refusal.status, 0);
      return this.#writer.write(refusal, { request, requestId, name: "unknown" }, null);
    });
  }

  #withoutRoute(
    routes: Pick<ReadonlySet<string>, "keys">,
    request: Request,
    peer: Peer,
  ): Promise<Response> {
    if (request.method === "OPTIONS") {
      const answer = this.#options.origins.preflight(
        request.headers.get("origin"),
        request.headers.get("host"),
      );
      if (this.#isLeaving) answer.headers.set("Connection", "close");
      return Promise.resolve(answer);
    }
    const allowed = [...routes.keys()].join(", ");
    const error = new PylonError(
      "METHOD_NOT_ALLOWED",
      `Method ${request.method} is not allowed here.`,
      { hint: `Allowed: ${allowed}.` },
    );
    return this.#run({ name: "unknown" }, request, peer, () => Promise.reject(error));
  }

  #refuse(error: unknown, request: Request | null, requestId: string): JsonAnswer {
    const shown = toPublicError(error);
    if (shown === undefined)
      this.#options.log.error(
        "request failed",
        error,
        request === null ? {} : { method: request.method },
      );
    return errorAnswer(
      shown ??
        new PylonError("INTERNAL", "An internal error occurred.", {
          hint: `The server's log has the details under request ${requestId}.`,
        }),
      requestId,
    );
  }
}

/** Returns what counts the responses of a kind of requests. */
function answersOf({ answers, onceAnswers }: DispatcherOptions, kind: RequestKind): Transfers {
  return kind.isOnce === true ? onceAnswers : answers;
}

/** Returns the method that a browser's preflight asks for; null for any other request. */
function announcedMethod({ method, headers }: Request): string | null {
  return method === "OPTIONS" ? headers.get("access-control-request-method") : null;
}

/**
 * Postgres rejects NUL in a text, so nothing can have it in its name.
 *
 * @throws PylonError NOT_FOUND
 */
function refuseNul(params: Readonly<Record<string, string>>): void {
  for (const name in params) {
    if (params[name]?.includes("\0") === true)
      throw new PylonError("NOT_FOUND", "The name is not valid.", {
        field: name,
        hint: "Names can't contain a NUL character.",
      });
  }
}
