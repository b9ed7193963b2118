import { PylonError } from "@pylonsync/protocol";
import { ANONYMOUS_IDENTITY, type Identity } from "../identity/identity.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Tracing } from "../observe/tracing.ts";
import { reasonOf, runIn, type Operation } from "../observe/operation.ts";
import { type Platform } from "../platform.ts";
import { callerKey } from "../request/caller-key.ts";
import { bearerToken } from "../request/bearer.ts";
import { RequestContext } from "../request/context.ts";
import type { Endpoint } from "../request/endpoint.ts";
import { networkOf } from "../request/network.ts";
import type { RateLimiter } from "../request/rate-limit.ts";
import { errorAnswer, toPublicError, type Answer, type JsonAnswer } from "../request/responses.ts";
import { checkAccess, type Route } from "../request/route.ts";
import type { Transfers } from "../request/transfers.ts";
import { Turns } from "../request/turns.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { CallerIdentity, type CallerIdentityOptions, type Peer } from "./caller-identity.ts";
import type { DevHosts } from "./dev-hosts.ts";
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
  readonly log: Log;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly platform: Platform;
  /** Whether every request is logged. */
  readonly accessLog: boolean;
}

/** The routes that set and clear the session's cookie. */
const AUTH_PATHS = "/api/auth/";

interface RequestKind {
  /** Its label in metrics, traces and the log. */
  readonly name: string;
  /** Is not logged, not in the metrics, and counts against no limit. */
  readonly isQuiet?: boolean;
  /** Counts against no limit. */
  readonly isFree?: boolean;
  /** A page of another site may send it, also in dev mode. */
  readonly acceptsCrossOriginForms?: boolean;
}

/** A request that is assigned to its route. */
interface RoutedRequest {
  /** Parameters of the path. */
  readonly params: Readonly<Record<string, string>>;
  readonly address: Peer;
  readonly requestId: string;
  readonly reader: AnswerReader;
}

/** The reader of a response, for the count of bytes that wait for slow readers. */
interface AnswerReader {
  identity: Identity;
  /** Whether the request can be repeated: then its response may be rejected for lack of room. */
  readonly isRepeatable: boolean;
}

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
    const reader: AnswerReader = {
      identity: ANONYMOUS_IDENTITY,
      isRepeatable: route.method === "GET" || route.scope === "read",
    };
    const kind: RequestKind = {
      name: route.path,
      isQuiet: route.quiet === true,
      isFree: route.quiet === true || route.isLimitedByUser === true,
      acceptsCrossOriginForms: route.acceptsCrossOriginForms === true,
    };
    const handle = (address: Peer, requestId: string): Promise<Answer> => {
      const answer = this.#handle(route, request, { params, address, requestId, reader });
      return route.challenge === undefined
        ? answer
        : this.#challenge(route, request, requestId, answer);
    };
    return this.#run(kind, request, peer, handle, reader);
  }

  /** Identifies the caller, checks its access, and calls the route. */
  async #handle(
    route: Route,
    request: Request,
    { params, address, requestId, reader }: RoutedRequest,
  ): Promise<Answer> {
    const { authenticator, answers, bodies, dev } = this.#options;
    refuseNul(params);
    // A page of another site may have sent it, with the cookie of the user who visits that page.
    const isUnidentified =
      route.isAnonymous === true ||
      (route.acceptsCrossOriginForms === true && authenticator.isForeign(request));
    if (route.path.startsWith(AUTH_PATHS) && !isUnidentified) authenticator.checkOrigin(request);
    const identified = isUnidentified
      ? ANONYMOUS_IDENTITY
      : this.callers.identifyFor(route, request, address);
    const identity = identified instanceof Promise ? await identified : identified;
    reader.identity = identity;
    const key = (): string => callerKey(identity.caller, address);
    if (route.isLimitedByUser === true) await this.#options.limiter.count(key);
    if (answers.isBusy) answers.check(key());
    const confirm = isUnidentified
      ? undefined
      : () => this.callers.confirm(request, identity, route.tokens);
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
    // The compiled form of `using` costs some microseconds.
    try {
      checkAccess(route, context, dev && authenticator.isOwnPage(request));
      return await route.handle(context);
    } finally {
      context[Symbol.dispose]();
    }
  }

  /** Adds the header that says how to get a token for this route to a 401. */
  async #challenge(
    { challenge }: Route,
    request: Request,
    requestId: string,
    answer: Promise<Answer>,
  ): Promise<Answer> {
    try {
      return await answer;
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
    return this.#run({ name }, request, peer, async () =>
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
    return this.#run({ name: "page", isFree: true }, request, peer, async (address) => {
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
    const reader: AnswerReader = { identity: ANONYMOUS_IDENTITY, isRepeatable: false };
    const own: { headers?: Headers } = {};
    const kind = { name, acceptsCrossOriginForms: true };
    const response = await this.#run(
      kind,
      request,
      peer,
      async (address, requestId) => {
        const identity = await this.callers.identifyForEndpoint(endpoint, request, address);
        reader.identity = identity;
        const key = (): string => callerKey(identity.caller, address);
        const { bodies } = this.#options;
        const call = { request, identity, address, requestId, bodies, key };
        const answer = await endpoint.answer(call);
        own.headers = new Headers(answer.headers);
        return answer;
      },
      reader,
    );
    return withOwnHeaders(response, own.headers ?? null, cors);
  }

  #run(
    kind: RequestKind,
    request: Request,
    peer: Peer,
    handle: (address: Peer, requestId: string) => Promise<Answer>,
    reader: AnswerReader = { identity: ANONYMOUS_IDENTITY, isRepeatable: true },
  ): Promise<Response> {
    const requestId = this.#ids.of(request);
    const span = kind.isQuiet === true ? null : this.#options.tracing.request(request, kind.name);
    const operation: Operation = { requestId, where: `${request.method} ${kind.name}`, span };
    return runIn(operation, () =>
      this.#answer(operation, requestId, kind, request, peer, handle, reader),
    );
  }

  async #answer(
    { span }: Operation,
    requestId: string,
    { name, isQuiet = false, isFree = isQuiet, acceptsCrossOriginForms = false }: RequestKind,
    request: Request,
    peer: Peer,
    handle: (address: Peer, requestId: string) => Promise<Answer>,
    reader: AnswerReader,
  ): Promise<Response> {
    const { monotonic } = this.#options.platform;
    const started = monotonic();
    const address = (): string => this.callers.addressOf(request, peer);
    let response: Response;
    try {
      this.#options.devHosts?.check(request.headers.get("host"));
      if (this.#options.dev && !acceptsCrossOriginForms) this.callers.checkDevOrigin(request);
      if (!isFree && this.#options.limiter.isOn)
        await this.#options.limiter.count(() => networkOf(address()));
      // Health checks are cheap, and must not wait.
      const turn = isQuiet ? null : this.#turns.next();
      if (turn !== null) await turn;
      const answer = await handle(address, requestId);
      response = this.#writer.write(answer, { request, requestId, name }, (abort) =>
        this.#options.answers.open(
          callerKey(reader.identity.caller, address),
          abort,
          reader.isRepeatable,
        ),
      );
    } catch (error) {
      const refusal = this.#refuse(error, request, requestId);
      if (refusal.status >= 500) span?.fail(reasonOf(error));
      response = this.#writer.write(refusal, { request, requestId, name }, null);
    }
    const { status } = response;
    if (!isQuiet) this.#record.add(name, request, status, monotonic() - started, address);
    span?.set("http.response.status_code", status);
    span?.end();
    return response;
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
