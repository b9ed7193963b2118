import {
  LIVE_PROTOCOL,
  offersLiveProtocol,
  offersShardProtocol,
  parseBearerProtocol,
  PylonError,
  SHARD_PROTOCOL,
} from "@pylonsync/protocol";
import { ANONYMOUS_IDENTITY, type Identity } from "../identity/identity.ts";
import type { Authenticator } from "../auth/sessions/authenticator.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Tracing } from "../observe/tracing.ts";
import { reasonOf, runIn, type Operation } from "../observe/operation.ts";
import { type Platform } from "../platform.ts";
import { bearerToken } from "../request/bearer.ts";
import { RequestContext } from "../request/context.ts";
import { networkOf } from "../request/network.ts";
import type { RateLimiter } from "../request/rate-limit.ts";
import { checkKeyScope } from "../identity/key-scope.ts";
import { urlOf } from "../request/request-url.ts";
import { errorAnswer, toPublicError, type Answer, type JsonAnswer } from "../request/responses.ts";
import { checkAccess, type Route } from "../request/route.ts";
import type { Transfers } from "../request/transfers.ts";
import { Turns } from "../request/turns.ts";
import { cursorOf, type SocketStart } from "../connections/websocket.ts";
import type { ShardSocketStart } from "../shards/shard-socket.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { clientAddress } from "./client-address.ts";
import type { DevHosts } from "./dev-hosts.ts";
import type { Origins } from "./origins.ts";
import type { TokenGuesses } from "./token-guesses.ts";

/** What all requests share. */
export interface DispatcherOptions {
  readonly dev: boolean;
  /** Null outside of dev mode: there a proxy in front knows which hosts are served. */
  readonly devHosts: DevHosts | null;
  readonly trustedHops: number;
  /** How long browsers are to come over https only, in seconds; 0 says nothing of it. */
  readonly hstsMaxAge: number;
  readonly authenticator: Authenticator;
  readonly origins: Origins;
  readonly limiter: RateLimiter;
  readonly guesses: TokenGuesses;
  /** Bodies on their way in. */
  readonly bodies: Transfers;
  /** Answers on their way out. */
  readonly answers: Transfers;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly platform: Platform;
  /** Logs every request. */
  readonly accessLog: boolean;
}

/** What a proxy's name for a request may look like: it goes into the log and into an answer. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

/** Here the session's cookie is set and cleared. */
const AUTH_PATHS = "/api/auth/";

/** The address at the other end of the connection; asked only when it is needed. */
export type Peer = () => string;

interface RequestKind {
  /** What it counts as in metrics, traces and the log. */
  readonly name: string;
  /** Is in no log and no metric, and counts against no limit. */
  readonly isQuiet?: boolean;
  /** Counts against no limit. */
  readonly isFree?: boolean;
  /** A page of another site may send it, in dev mode too. */
  readonly takesForeignForms?: boolean;
}

/** A request on its way to its route. */
interface RoutedRequest {
  /** Of the path. */
  readonly params: Readonly<Record<string, string>>;
  readonly address: Peer;
  readonly requestId: string;
  readonly reader: AnswerReader;
}

/** Who reads an answer, for the count of what waits for slow readers. */
interface AnswerReader {
  identity: Identity;
  /** What the request did can be done again, so its answer may be refused for want of room. */
  readonly isRepeatable: boolean;
}

/**
 * Takes a request through what all have in common: limits, identity, access, errors, headers,
 * metrics, the access log.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #writer: AnswerWriter;
  readonly #idPrefix: string;
  readonly #turns: Turns;
  #requests = 0;
  #isLeaving = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#idPrefix = options.platform.uuid().slice(0, 8);
    this.#turns = new Turns(options.platform);
    this.#writer = new AnswerWriter(options, this.#turns);
  }

  /**
   * From now on each answer asks its client to take a new connection next, which the load balancer
   * gives to a server that stays.
   */
  beginDrain(): void {
    this.#isLeaving = true;
    this.#writer.beginDrain();
  }

  /** Answers with the route for the request's method, or 405. */
  async dispatch(
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
      takesForeignForms: route.takesForeignForms === true,
    };
    const handle = (address: Peer, requestId: string): Promise<Answer> =>
      this.#handle(route, request, { params, address, requestId, reader });
    return this.#run(kind, request, peer, handle, reader);
  }

  /** Identifies the caller, checks what it may, and has the route answer. */
  async #handle(
    route: Route,
    request: Request,
    { params, address, requestId, reader }: RoutedRequest,
  ): Promise<Answer> {
    const { authenticator, answers, bodies, dev } = this.#options;
    refuseNul(params);
    // A page of another site may have sent it, with the cookie of the user who looks at that page.
    const isUnidentified =
      route.isAnonymous === true ||
      (route.takesForeignForms === true && authenticator.isForeign(request));
    if (route.path.startsWith(AUTH_PATHS) && !isUnidentified) authenticator.checkOrigin(request);
    const identity = isUnidentified
      ? ANONYMOUS_IDENTITY
      : await this.#identifyFor(route, request, address);
    reader.identity = identity;
    const key = (): string => callerKey(identity, address);
    if (answers.isBusy) answers.check(key());
    const confirm = isUnidentified ? undefined : () => this.#confirm(request, identity);
    const bounds = { limit: route.body ?? "none", transfers: bodies, key };
    using context = new RequestContext(
      request,
      params,
      identity,
      address,
      requestId,
      confirm,
      bounds,
    );
    checkAccess(route, context, dev && authenticator.isOwnPage(request));
    return await route.handle(context);
  }

  /** @throws PylonError UNAUTHORIZED when the request is another caller's by now */
  async #confirm(request: Request, identity: Identity): Promise<void> {
    if (isSame(await this.#options.authenticator.identify(request), identity)) return;
    throw new PylonError("UNAUTHORIZED", "The session was changed while this request came in.", {
      hint: "Send it again.",
    });
  }

  /** Answers a request that is not in the table of routes: `handle` may throw a PylonError. */
  serve(
    name: string,
    request: Request,
    peer: Peer,
    handle: (identity: () => Promise<Identity>) => Promise<Answer>,
  ): Promise<Response> {
    return this.#run({ name }, request, peer, async () =>
      handle(() => this.#identify(request, false, peer)),
    );
  }

  /**
   * Answers what is in no table with a page of the app, which counts against no limit: one page is
   * dozens of files, and behind a CDN many people have one address. What is not found counts.
   *
   * @param find null: there is nothing
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
   * Who opens a socket, and where its replica is. A bad token is not refused here: a browser can't
   * read a refused handshake, so the socket is opened and closed with a code.
   *
   * @throws PylonError HOST_REJECTED, ORIGIN_REJECTED, RATE_LIMITED, INVALID_QUERY
   */
  async identifySocket(
    request: Request,
    address: Peer,
  ): Promise<SocketStart & { readonly protocol: string | undefined }> {
    this.#options.devHosts?.check(request.headers.get("host"));
    this.checkOrigin(request);
    await this.#options.limiter.count(() => networkOf(address()));
    const header = request.headers.get("sec-websocket-protocol");
    const cursor = cursorOf(urlOf(request).searchParams);
    const { identity, protocol } = await this.#identifyOpener(request, header, address);
    const isLive = offersLiveProtocol(header);
    return {
      identity,
      cursor,
      version: isLive ? 2 : 1,
      protocol: isLive ? LIVE_PROTOCOL : protocol,
    };
  }

  /**
   * Who opens a socket to which shard; as `identifySocket`.
   *
   * @throws PylonError HOST_REJECTED, ORIGIN_REJECTED, RATE_LIMITED, INSUFFICIENT_SCOPE
   */
  async identifyShardSocket(
    request: Request,
    address: Peer,
  ): Promise<ShardSocketStart & { readonly protocol: string | undefined }> {
    this.#options.devHosts?.check(request.headers.get("host"));
    this.checkOrigin(request);
    await this.#options.limiter.count(() => networkOf(address()));
    const header = request.headers.get("sec-websocket-protocol");
    const { identity, protocol } = await this.#identifyOpener(request, header, address);
    const { searchParams } = urlOf(request);
    const takesDeltas = offersShardProtocol(header);
    return {
      identity,
      shardId: searchParams.get("shard"),
      subscriberId: searchParams.get("sid") ?? "anon",
      takesDeltas,
      protocol: takesDeltas ? SHARD_PROTOCOL : protocol,
    };
  }

  /** @param header the subprotocols, one of which may hold the token */
  async #identifyOpener(
    request: Request,
    header: string | null,
    address: Peer,
  ): Promise<{ readonly identity: Identity | null; readonly protocol: string | undefined }> {
    const offered = parseBearerProtocol(header);
    const token = bearerToken(request.headers) ?? offered?.token ?? null;
    const isBroken = token === null && header?.includes("bearer.") === true;
    const identity = isBroken ? null : await this.#identifyOrNull(request, token, address);
    if (identity !== null) checkKeyScope(identity.caller, "read");
    return { identity, protocol: offered?.protocol };
  }

  /** @throws PylonError ORIGIN_REJECTED when a page of a foreign site asks */
  checkOrigin(request: Request): void {
    const origin = request.headers.get("origin");
    if (this.#options.origins.allows(origin, request.headers.get("host"))) return;
    throw new PylonError("ORIGIN_REJECTED", `Pages of ${origin ?? ""} may not connect.`, {
      hint: "Add the origin to PYLON_CORS_ORIGIN.",
    });
  }

  /**
   * In dev mode no sign-in is needed, so a web page that the developer visits would be as good as
   * the developer.
   *
   * @throws PylonError ORIGIN_REJECTED
   */
  #checkDevOrigin(request: Request): void {
    if (bearerToken(request.headers) !== null || this.#options.authenticator.isOwnPage(request))
      return;
    this.checkOrigin(request);
  }

  addressOf(request: Request, peer: Peer): string {
    const { trustedHops } = this.#options;
    return trustedHops === 0
      ? peer()
      : clientAddress(peer(), request.headers.get("x-forwarded-for"), trustedHops);
  }

  /** @throws PylonError as `#identify` */
  #identifyFor(route: Route, request: Request, address: Peer): Promise<Identity> {
    const identified = this.#identify(request, route.access.startsWith("admin"), address);
    if (route.takesDeadTokens !== true) return identified;
    return identified.catch((error: unknown) => {
      if (error instanceof PylonError && error.code === "UNAUTHORIZED") return ANONYMOUS_IDENTITY;
      throw error;
    });
  }

  /**
   * @param isForAdmin what is asked for is the admin's alone
   * @throws PylonError UNAUTHORIZED, CSRF_REJECTED, RATE_LIMITED
   */
  async #identify(
    request: Request,
    isForAdmin: boolean,
    address: Peer,
    token = bearerToken(request.headers),
  ): Promise<Identity> {
    const { authenticator, guesses } = this.#options;
    let identity: Identity;
    try {
      identity = await (token === null
        ? authenticator.identify(request)
        : authenticator.identifyToken(token));
    } catch (error) {
      if (token !== null && error instanceof PylonError && error.code === "UNAUTHORIZED")
        await guesses.wrong(token, isForAdmin, address());
      throw error;
    }
    if (identity.caller.isAdmin && identity.sessionId === null) await guesses.check(address());
    return identity;
  }

  async #identifyOrNull(
    request: Request,
    token: string | null,
    address: Peer,
  ): Promise<Identity | null> {
    try {
      return await this.#identify(request, false, address, token);
    } catch (error) {
      if (error instanceof PylonError) return null;
      throw error;
    }
  }

  #run(
    kind: RequestKind,
    request: Request,
    peer: Peer,
    handle: (address: Peer, requestId: string) => Promise<Answer>,
    reader: AnswerReader = { identity: ANONYMOUS_IDENTITY, isRepeatable: true },
  ): Promise<Response> {
    const requestId = this.#requestIdOf(request);
    const span = kind.isQuiet === true ? null : this.#options.tracing.request(request, kind.name);
    const operation: Operation = { requestId, where: `${request.method} ${kind.name}`, span };
    return runIn(operation, () =>
      this.#answer(operation, requestId, kind, request, peer, handle, reader),
    );
  }

  async #answer(
    { span }: Operation,
    requestId: string,
    { name, isQuiet = false, isFree = isQuiet, takesForeignForms = false }: RequestKind,
    request: Request,
    peer: Peer,
    handle: (address: Peer, requestId: string) => Promise<Answer>,
    reader: AnswerReader,
  ): Promise<Response> {
    const { monotonic } = this.#options.platform;
    const started = monotonic();
    const address = (): string => this.addressOf(request, peer);
    let response: Response;
    try {
      this.#options.devHosts?.check(request.headers.get("host"));
      if (this.#options.dev && !takesForeignForms) this.#checkDevOrigin(request);
      if (!isFree && this.#options.limiter.isOn)
        await this.#options.limiter.count(() => networkOf(address()));
      // Health checks are cheap, and must not wait.
      const turn = isQuiet ? null : this.#turns.next();
      if (turn !== null) await turn;
      const answer = await handle(address, requestId);
      response = this.#writer.write(answer, { request, requestId, name }, (abort) =>
        this.#options.answers.open(callerKey(reader.identity, address), abort, reader.isRepeatable),
      );
    } catch (error) {
      const refusal = this.#refuse(error, request, requestId);
      if (refusal.status >= 500) span?.fail(reasonOf(error));
      response = this.#writer.write(refusal, { request, requestId, name }, null);
    }
    const { status } = response;
    if (!isQuiet) this.#record(name, request, status, monotonic() - started, address);
    span?.set("http.response.status_code", status);
    span?.end();
    return response;
  }

  /**
   * Answers what nothing else has caught: a fault of ours on the way into or out of a route.
   *
   * @param request null when it is not known: the runtime failed to send an answer's body
   */
  fault(error: unknown, request: Request | null): Response {
    const requestId = request === null ? this.#newRequestId() : this.#requestIdOf(request);
    const operation: Operation = { requestId, where: "listener", span: null };
    return runIn(operation, () => {
      const refusal = this.#refuse(error, request, requestId);
      this.#options.metrics.request("unknown", request?.method ?? "GET", refusal.status, 0);
      return this.#writer.write(refusal, { request, requestId, name: "unknown" }, null);
    });
  }

  /** A trusted proxy may have named the request already. */
  #requestIdOf(request: Request): string {
    const given = this.#options.trustedHops === 0 ? null : request.headers.get("x-request-id");
    if (given !== null && REQUEST_ID.test(given)) return given;
    return this.#newRequestId();
  }

  #newRequestId(): string {
    return `${this.#idPrefix}-${(this.#requests += 1).toString(36)}`;
  }

  #withoutRoute(
    routes: ReadonlyMap<string, Route>,
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
        new PylonError("INTERNAL", "Something failed on our side.", {
          hint: `The server's log has the reason under request ${requestId}.`,
        }),
      requestId,
    );
  }

  #record(name: string, request: Request, status: number, durationMs: number, address: Peer): void {
    this.#options.metrics.request(name, request.method, status, durationMs);
    const { log, accessLog } = this.#options;
    if (status < 500 && !accessLog && !log.isOn("debug")) return;
    const fields = {
      route: name,
      method: request.method,
      status,
      ms: Math.round(durationMs * 10) / 10,
      ...(accessLog ? { address: address() } : {}),
    };
    if (status >= 500) log.warn("request", fields);
    else if (accessLog) log.info("request", fields);
    else log.debug("request", fields);
  }
}

function isSame(now: Identity, then: Identity): boolean {
  return (
    now === then ||
    (now.sessionId === then.sessionId && JSON.stringify(now.caller) === JSON.stringify(then.caller))
  );
}

/** Whose bytes those of a request are. Guests cost nothing to make, so they count by address. */
function callerKey({ caller }: Identity, address: Peer): string {
  return caller.userId === null || caller.isGuest ? networkOf(address()) : caller.userId;
}

/**
 * Postgres takes no NUL in a text, so nothing can have it in its name.
 *
 * @throws PylonError NOT_FOUND
 */
function refuseNul(params: Readonly<Record<string, string>>): void {
  for (const name in params) {
    if (params[name]?.includes("\0") === true)
      throw new PylonError("NOT_FOUND", "There is nothing of this name.", {
        field: name,
        hint: "A name has no NUL character.",
      });
  }
}
