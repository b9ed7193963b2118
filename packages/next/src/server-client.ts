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

/** The caller of a request, with the user's row without the fields that the app hides. */
export interface ServerSession extends ResolvedSession {
  /** Null for guests and for nobody. */
  readonly user: User | null;
}

/** The session of a signed-in request. */
export type SignedInSession = ServerSession & { readonly userId: string };

/** Options of `createPylonServer`. */
export interface PylonServerOptions extends PylonSettings {
  /** The page to sign in at. Default `/auth/sign-in`, the Pylon server's own. */
  readonly signIn?: string;
  /** How long the Pylon server may take, in milliseconds. Default 10000. */
  readonly timeoutMs?: number;
}

type Method = "GET" | "POST" | "PATCH" | "DELETE";

/**
 * Sends on what tells requests apart; the address of who asks is counted by the limits, where the
 * Pylon server trusts this one.
 */
const FORWARDED = ["x-forwarded-for", "x-request-id", "user-agent", "traceparent"] as const;

/**
 * The Pylon server with the rights of one request's caller, and never more.
 *
 * @example
 * const pylon = new PylonServerClient({ url: "http://pylon:4321", cookieName: "notes_session" });
 * const notes = await pylon.queryDb("Todo", { limit: 20 });
 */
export class PylonServerClient {
  readonly #options: PylonServerOptions;
  /** Asked once for each request, however many components ask. */
  readonly auth: () => Promise<ServerSession>;

  constructor(options: PylonServerOptions = {}) {
    this.#options = options;
    this.auth = cache(() => this.#readSession());
  }

  /**
   * The session, or null where nobody is signed in. A guest is somebody.
   *
   * @throws PylonUnreachableError when the Pylon server does not answer: nobody is signed out by
   *   that
   */
  async getSession(): Promise<SignedInSession | null> {
    const session = await this.auth();
    return session.userId === null ? null : { ...session, userId: session.userId };
  }

  /**
   * The session; where nobody is signed in, the browser is sent to sign in, and comes back to where
   * it was going.
   *
   * @param options `redirectTo`: where to after the sign-in, a path of this origin; `allowGuests`:
   *   a guest is enough
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
   * Rows that the caller may read.
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
   * Rows for `usePreloadedQuery`, which shows them until the client's replica is there.
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
   * Calls a function as the caller.
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
   * Asks the HTTP API as the caller.
   *
   * @param path from the root
   * @throws PylonClientError when it is refused, PylonUnreachableError
   */
  json(method: Method, path: string, body?: unknown): Promise<unknown>;
  /** The same with what `fetch` takes. */
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

  /** As `json`, for an answer of any kind. @throws PylonUnreachableError */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const { timeoutMs = 10_000 } = this.#options;
    const sent = new Headers(init.headers);
    const session = await this.#cookie();
    // As a cookie, which the Pylon server takes for a session only, and for nobody when that has
    // ended.
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
   * What the Pylon server said; a proxy in front of it says nothing about the caller.
   *
   * @throws PylonClientError when it was refused, PylonUnreachableError
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
   * The session's cookie alone: the others of this site are none of the Pylon server's business.
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
    `"${path.slice(0, 100)}" is not a path of the Pylon server: begin it with one /.`,
  );
}
