import {
  LIVE_PROTOCOL,
  offersLiveProtocol,
  parseBearerProtocol,
  PylonError,
  UNCOUNTED_BYTES,
} from "@pylonsync/protocol";
import { ANONYMOUS_IDENTITY, type Identity } from "../identity/identity.ts";
import type { Authenticator } from "../auth/sessions/authenticator.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Tracing } from "../observe/tracing.ts";
import { reasonOf, runIn, type Operation } from "../observe/operation.ts";
import { randomFraction, type Platform } from "../platform.ts";
import { bearerToken } from "../request/bearer.ts";
import {
  Compressor,
  compressNow,
  encodingFor,
  MIN_COMPRESSED_BYTES,
  padding,
  type AnswerEncoding,
} from "../request/compression.ts";
import { RequestContext } from "../request/context.ts";
import { pacedBody, pacedStream } from "../request/paced-answer.ts";
import { networkOf } from "../request/network.ts";
import type { RateLimiter } from "../request/rate-limit.ts";
import { checkKeyScope } from "../identity/key-scope.ts";
import { urlOf } from "../request/request-url.ts";
import {
  errorAnswer,
  JsonAnswer,
  toPublicError,
  type StreamAnswer,
  type Answer,
  type AnswerHeaders,
} from "../request/responses.ts";
import { checkAccess, type Route } from "../request/route.ts";
import type { Transfer, Transfers } from "../request/transfers.ts";
import { Turns } from "../request/turns.ts";
import { cursorOf, type SocketStart } from "../connections/websocket.ts";
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

const COMMON_HEADERS = {
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "strict-origin-when-cross-origin",
  "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
};

/** What a proxy's name for a request may look like: it goes into the log and into an answer. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

/** Here the session's cookie is set and cleared. */
const AUTH_PATHS = "/api/auth/";
/**
 * What is answered here has tokens, codes or what people are known by in it, in errors too: no
 * cache on the way may keep it.
 */
const NO_STORE_PATHS = [AUTH_PATHS, "/api/admin/", "/studio/"];

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
  readonly #commonHeaders: Readonly<Record<string, string>>;
  /** Made once: to copy it costs a third of making another one. */
  readonly #jsonHeaders: Headers;
  /** As those, of an answer that another client may be sent compressed. */
  readonly #plainHeaders: Headers;
  readonly #idPrefix: string;
  readonly #turns: Turns;
  #requests = 0;
  #isLeaving = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#idPrefix = options.platform.uuid().slice(0, 8);
    this.#turns = new Turns(options.platform);
    this.#commonHeaders = {
      ...COMMON_HEADERS,
      ...(options.hstsMaxAge > 0
        ? { "Strict-Transport-Security": `max-age=${options.hstsMaxAge}` }
        : {}),
    };
    this.#jsonHeaders = new Headers({
      ...this.#commonHeaders,
      "Content-Type": "application/json; charset=utf-8",
    });
    this.#plainHeaders = new Headers(this.#jsonHeaders);
    setAll(this.#plainHeaders, this.#encodingHeaders(null));
  }

  /**
   * From now on each answer asks its client to take a new connection next, which the load balancer
   * gives to a server that stays.
   */
  beginDrain(): void {
    this.#isLeaving = true;
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
    const offered = parseBearerProtocol(header);
    const token = bearerToken(request.headers) ?? offered?.token ?? null;
    const isBroken = token === null && header?.includes("bearer.") === true;
    const cursor = cursorOf(urlOf(request).searchParams);
    const identity = isBroken ? null : await this.#identifyOrNull(request, token, address);
    if (identity !== null) checkKeyScope(identity.caller, "read");
    const isLive = offersLiveProtocol(header);
    return {
      identity,
      cursor,
      version: isLive ? 2 : 1,
      protocol: isLive ? LIVE_PROTOCOL : offered?.protocol,
    };
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
      response = this.#toResponse(answer, request, requestId, name, (abort) =>
        this.#options.answers.open(callerKey(reader.identity, address), abort, reader.isRepeatable),
      );
    } catch (error) {
      const refusal = this.#refuse(error, request, requestId);
      if (refusal.status >= 500) span?.fail(reasonOf(error));
      response = this.#toResponse(refusal, request, requestId, name, null);
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
      return this.#toResponse(refusal, request, requestId, "unknown", null);
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

  /**
   * @param open begins to count an answer that waits for its reader; null: it is let through
   * @throws PylonError RATE_LIMITED, OVERLOADED when there is no room for it
   */
  #toResponse(
    answer: Answer,
    request: Request | null,
    requestId: string,
    name: string,
    open: ((abort: () => void) => Transfer) | null,
  ): Response {
    const origin = request === null ? null : request.headers.get("origin");
    const cors =
      request === null || origin === null
        ? undefined
        : this.#options.origins.headers(origin, request.headers.get("host"));
    if (answer instanceof JsonAnswer) {
      const response = this.#jsonResponse(answer, request, name, open);
      response.headers.set("X-Request-Id", requestId);
      if (isSecret(name)) response.headers.set("Cache-Control", "no-store");
      if (this.#isLeaving) response.headers.set("Connection", "close");
      if (cors !== undefined) setAll(response.headers, cors);
      if (answer.headers !== undefined) setAll(response.headers, answer.headers);
      return response;
    }
    const response =
      answer instanceof Response
        ? answer
        : this.#streamed(answer, request, { requestId, name }, open);
    setAll(response.headers, {
      ...this.#commonHeaders,
      "X-Request-Id": requestId,
      ...(this.#isLeaving ? { Connection: "close" } : {}),
      ...cors,
    });
    return response;
  }

  #jsonResponse(
    answer: JsonAnswer,
    request: Request | null,
    name: string,
    open: ((abort: () => void) => Transfer) | null,
  ): Response {
    const text = answer.text();
    const { status } = answer;
    const init = { status, headers: this.#jsonHeaders };
    // Errors have no `open`, and what HEAD answers is never sent.
    if (open === null || request === null || request.method === "HEAD")
      return new Response(text, init);
    const isLarge = text.length > UNCOUNTED_BYTES;
    if (text.length < MIN_COMPRESSED_BYTES || status >= 400 || isSecret(name))
      return new Response(isLarge ? pacedBody(text, open, null) : text, init);
    const encoding = encodingFor(request);
    if (encoding === null)
      return new Response(isLarge ? pacedBody(text, open, null) : text, {
        status,
        headers: this.#plainHeaders,
      });
    const body = isLarge
      ? pacedBody(text, open, new Compressor(encoding))
      : compressNow(text, encoding);
    const response = new Response(body, init);
    setAll(response.headers, this.#encodingHeaders(encoding));
    return response;
  }

  #encodingHeaders(encoding: AnswerEncoding | null): AnswerHeaders {
    return {
      // A cache in between must not hand one client's encoding to another, the plain one included.
      Vary: "Accept-Encoding",
      ...(encoding === null
        ? {}
        : {
            "Content-Encoding": encoding,
            "X-Padding": padding(randomFraction(this.#options.platform)),
          }),
    };
  }

  #streamed(
    { pieces, contentType }: StreamAnswer,
    request: Request | null,
    { requestId, name }: { readonly requestId: string; readonly name: string },
    open: ((abort: () => void) => Transfer) | null,
  ): Response {
    const isSent = open !== null && request !== null && request.method !== "HEAD";
    const encoding = isSent && !isSecret(name) ? encodingFor(request) : null;
    const headers = new Headers({ "Content-Type": contentType });
    if (!isSecret(name)) setAll(headers, this.#encodingHeaders(encoding));
    if (!isSent) return new Response(null, { headers });
    const { log } = this.#options;
    const logged: AsyncIterator<string> = {
      next: async () => {
        await this.#turns.next();
        return pieces.next().catch((error: unknown): never => {
          log.error("answer broken off", error, { request_id: requestId });
          throw error;
        });
      },
    };
    const compressor = encoding === null ? null : new Compressor(encoding);
    return new Response(pacedStream(logged, open, compressor), { headers });
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

/** Whether a route's answers may have tokens or codes in them. */
function isSecret(name: string): boolean {
  return NO_STORE_PATHS.some((start) => name.startsWith(start));
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

function setAll(headers: Headers, values: AnswerHeaders): void {
  for (const [name, value] of Object.entries(values)) {
    // What an answer depends on adds up.
    if (typeof value === "string" && name !== "Vary") headers.set(name, value);
    else for (const item of [value].flat()) headers.append(name, item);
  }
}
