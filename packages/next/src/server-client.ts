import type { EntityName, FunctionName, RegisteredRows, RegisteredFunctions } from "@pylonsync/sdk";
import {
  ANONYMOUS_SESSION,
  PylonClientError,
  readAnswer,
  toFilter,
  toResolvedSession,
  type QueryOptions,
  type ResolvedSession,
} from "@pylonsync/sync";
import { safePath } from "@pylonsync/react/safe-path";
import type { EntityQueryOptions, Preloaded, User } from "@pylonsync/react";
import { cookies, headers } from "next/headers";
import { redirect } from "next/navigation";
import { cache } from "react";
import { PylonUnreachableError } from "./unreachable.ts";
import { cookieNameOf, urlOf, type PylonSettings } from "./settings.ts";

/** The caller of a request, with the user's row without hidden fields. */
export interface ServerSession extends ResolvedSession {
  /** Null for guests and anonymous callers. */
  readonly user: User | null;
}

/** The session of a signed-in request. */
export type SignedInSession = ServerSession & { readonly userId: string };

/** Options of `createPylonServer`. */
export interface PylonServerOptions extends PylonSettings {
  /** The sign-in page. Default `/auth/sign-in`, the Pylon server's page. */
  readonly signIn?: string;
  /** The timeout of requests to the Pylon server, in milliseconds. Default 10000. */
  readonly timeoutMs?: number;
}

type Method = "GET" | "POST" | "PATCH" | "DELETE";

/**
 * Forwarded headers that identify a request. The client's address counts for rate limits, if the
 * Pylon server trusts this server.
 */
const FORWARDED = ["x-forwarded-for", "x-request-id", "user-agent", "traceparent"] as const;

/**
 * Calls the Pylon server on behalf of a request's caller, with the caller's permissions.
 *
 * @example
 * const pylon = new PylonServerClient({ url: "http://pylon:4321", cookieName: "notes_session" });
 * const notes = await pylon.queryDb("Todo", { limit: 20 });
 */
export class PylonServerClient {
  readonly #options: PylonServerOptions;
  /** Loads the session, once per request, regardless of the number of components that call it. */
  readonly auth: () => Promise<ServerSession>;

  constructor(options: PylonServerOptions = {}) {
    this.#options = options;
    this.auth = cache(() => this.#readSession());
  }

  /**
   * Returns the session, or null if the caller is not signed in. Guests have a session.
   *
   * @throws PylonUnreachableError if the Pylon server does not respond: the user is then not
   *   treated as signed out
   */
  async getSession(): Promise<SignedInSession | null> {
    const session = await this.auth();
    return session.userId === null ? null : { ...session, userId: session.userId };
  }

  /**
   * Returns the session, or redirects the browser to the sign-in page, which returns to the
   * requested page.
   *
   * @param options `redirectTo`: the target after the sign-in, a path of this origin;
   *   `allowGuests`: accepts guests
   */
  async requireSession({
    redirectTo,
    allowGuests = false,
  }: {
    readonly redirectTo?: string;
    readonly allowGuests?: boolean;
  } = {}): Promise<SignedInSession> {
    const session = await this.getSession();
    if (session !== null && (allowGuests || !session.isGuest)) return session;
    const { signIn = "/auth/sign-in" } = this.#options;
    if (redirectTo === undefined) return redirect(signIn);
    const separator = signIn.includes("?") ? "&" : "?";
    return redirect(`${signIn}${separator}next=${encodeURIComponent(safePath(redirectTo))}`);
  }

  /**
   * Returns rows that the caller may read.
   *
   * @throws QueryError for a filter with an undefined value, PylonClientError,
   *   PylonUnreachableError
   */
  async queryDb<E extends EntityName>(
    entity: E,
    options: EntityQueryOptions<E> = {},
  ): Promise<readonly RegisteredRows[E][]> {
    return (await this.json(
      "POST",
      `/api/query/${encodeURIComponent(entity)}`,
      toFilter(options as QueryOptions),
    )) as readonly RegisteredRows[E][];
  }

  /**
   * Loads rows for `usePreloadedQuery`, which shows them until the client's replica is loaded.
   *
   * @throws PylonClientError, PylonUnreachableError
   */
  async preloadQuery<E extends EntityName>(
    entity: E,
    options: EntityQueryOptions<E> = {},
  ): Promise<Preloaded<E>> {
    const [{ userId }, rows] = await Promise.all([this.auth(), this.queryDb(entity, options)]);
    return { entity, options, rows, userId };
  }

  /**
   * Calls a function on behalf of the caller.
   *
   * @throws PylonClientError with the function's code, PylonUnreachableError
   */
  async callFn<N extends FunctionName>(
    name: N,
    args: RegisteredFunctions[N]["args"],
  ): Promise<RegisteredFunctions[N]["result"]> {
    return await this.json("POST", `/api/fn/${encodeURIComponent(name)}`, args);
  }

  /**
   * Sends a request to the HTTP API on behalf of the caller, and returns the parsed JSON.
   *
   * @param path an absolute path
   * @throws PylonClientError if it is rejected, PylonUnreachableError
   */
  json(method: Method, path: string, body?: unknown): Promise<unknown>;
  /** With the options of `fetch`. */
  json<T = unknown>(path: `/${string}`, init?: RequestInit): Promise<T>;
  async json(
    methodOrPath: string,
    pathOrInit: string | RequestInit = {},
    body?: unknown,
  ): Promise<unknown> {
    if (typeof pathOrInit !== "string")
      return this.#read(await this.fetch(methodOrPath, pathOrInit));
    const [method, path] = [methodOrPath, pathOrInit];
    const response = await this.fetch(path, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
    });
    return this.#read(response);
  }

  /** Like `json`, for responses of any type. @throws PylonUnreachableError */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const { timeoutMs = 10_000 } = this.#options;
    const sent = new Headers(init.headers);
    const session = await this.#cookie();
    // Sent as a cookie, which the Pylon server only accepts as a session, and treats as anonymous
    // once the session has ended.
    if (session !== null) sent.set("Cookie", session);
    const received = await headers();
    for (const name of FORWARDED) {
      const value = received.get(name);
      if (value !== null && !sent.has(name)) sent.set(name, value);
    }
    try {
      return await fetch(urlOf(this.#options) + rooted(path), {
        cache: "no-store",
        redirect: "manual",
        ...init,
        headers: sent,
        signal: init.signal ?? AbortSignal.timeout(timeoutMs),
      });
    } catch (cause) {
      throw new PylonUnreachableError(cause);
    }
  }

  async #readSession(): Promise<ServerSession> {
    if ((await this.#cookie()) === null) return { ...ANONYMOUS_SESSION, user: null };
    const response = await this.fetch("/api/auth/session");
    const answer = (await this.#read(response)) as {
      readonly session: unknown;
      readonly user: User | null;
    };
    return { ...toResolvedSession(answer.session), user: answer.user };
  }

  /**
   * Parses the Pylon server's response; a proxy in front of it can't know the caller's session.
   *
   * @throws PylonClientError if it was rejected, PylonUnreachableError
   */
  async #read(response: Response): Promise<unknown> {
    try {
      return readAnswer(response, await response.text());
    } catch (error) {
      throw error instanceof PylonClientError && error.status > 0
        ? error
        : new PylonUnreachableError(error);
    }
  }

  /**
   * Returns only the session cookie: other cookies of this site are not sent to the Pylon server.
   */
  async #cookie(): Promise<string | null> {
    const name = cookieNameOf(this.#options);
    const value = (await cookies()).get(name)?.value;
    return value === undefined ? null : `${name}=${encodeURIComponent(value)}`;
  }
}

/** @throws Error for a path that would lead to another server */
function rooted(path: string): string {
  if (path.startsWith("/") && !path.startsWith("//") && !path.includes("\\")) return path;
  throw new Error(
    `"${path.slice(0, 100)}" is not a path of the Pylon server: it must begin with a single /.`,
  );
}
