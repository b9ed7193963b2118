import { redirect } from "next/navigation";
import type { User } from "@pylonsync/react";
import { cookies } from "next/headers";
import { PylonServerClient, type PylonServerOptions } from "./server-client.ts";
import { cookieNameOf } from "./settings.ts";
import type { OAuthProvider } from "./wire.ts";

/** Options of `createPylonServer`, including the names of the public system. */
export interface PylonServerConfig extends PylonServerOptions {
  /** @deprecated Use `url`. */
  readonly target?: string | undefined;
  /** @deprecated Use `signIn`. */
  readonly loginUrl?: string | undefined;
}

/** The caller of a request, as `getAuth` returns it. */
export interface PylonAuth {
  readonly userId: string;
  readonly tenantId: string | null;
  readonly isAdmin: boolean;
  /** The session cookie, in the form of a `Cookie` header. */
  readonly cookieHeader: string;
}

/**
 * A `PylonServerClient` with additional methods under the names of the public system.
 *
 * @example
 * const pylon = new PylonServer({ cookieName: "notes_session", loginUrl: "/login" });
 * const { userId } = await pylon.requireAuth();
 */
export class PylonServer extends PylonServerClient {
  readonly #signIn: string;
  readonly #cookie: { readonly cookieName?: string };

  constructor({ target, loginUrl, ...options }: PylonServerConfig = {}) {
    const url = options.url ?? target;
    const signIn = options.signIn ?? loginUrl;
    super({
      ...options,
      ...(url === undefined ? {} : { url }),
      ...(signIn === undefined ? {} : { signIn }),
    });
    this.#signIn = signIn ?? "/auth/sign-in";
    this.#cookie = options;
  }

  /** Returns the caller of the request; null if not signed in. @throws PylonUnreachableError */
  async getAuth(): Promise<PylonAuth | null> {
    const session = await this.getSession();
    if (session === null) return null;
    const { userId, tenantId, isAdmin } = session;
    const name = cookieNameOf(this.#cookie);
    const value = (await cookies()).get(name)?.value ?? "";
    return { userId, tenantId, isAdmin, cookieHeader: `${name}=${encodeURIComponent(value)}` };
  }

  /** Like `getAuth`, but redirects to the sign-in page if the caller is not signed in. */
  async requireAuth(): Promise<PylonAuth> {
    return (await this.getAuth()) ?? redirect(this.#signIn);
  }

  /** Returns the user's row without hidden fields; null for guests and anonymous callers. */
  getMe<T = User>(): Promise<T | null>;
  async getMe(): Promise<unknown> {
    return (await this.auth()).user;
  }

  /** Like `getMe`, but redirects to the sign-in page if there is no user. */
  async requireMe<T = User>(): Promise<T> {
    return (await this.getMe<T>()) ?? redirect(this.#signIn);
  }

  /** Lists the OAuth providers for sign-in. @throws PylonUnreachableError */
  getOAuthProviders(): Promise<readonly OAuthProvider[]> {
    return this.json<readonly OAuthProvider[]>("/api/auth/providers");
  }
}

/**
 * Returns the caller of the request; null if not signed in. `getSession` returns more.
 *
 * @throws PylonUnreachableError
 *
 * @example
 * const userId = (await getAuth())?.userId;
 */
export function getAuth(config?: PylonServerConfig): Promise<PylonAuth | null> {
  return new PylonServer(config).getAuth();
}

/**
 * Returns the caller of the request, or redirects to the sign-in page.
 *
 * @throws PylonUnreachableError
 *
 * @example
 * const { userId, cookieHeader } = await requireAuth({ loginUrl: "/login" });
 */
export function requireAuth(config?: PylonServerConfig): Promise<PylonAuth> {
  return new PylonServer(config).requireAuth();
}

/**
 * Sends a request to the Pylon server on behalf of the caller.
 *
 * @throws PylonUnreachableError
 *
 * @example
 * const response = await pylonFetch("/api/entities/Todo");
 */
export function pylonFetch(
  path: string,
  init?: RequestInit,
  config?: PylonServerConfig,
): Promise<Response> {
  return new PylonServer(config).fetch(path, init);
}

/**
 * Sends a request to the Pylon server on behalf of the caller, and returns the parsed JSON.
 *
 * @throws PylonClientError if it is rejected, PylonUnreachableError
 *
 * @example
 * const { data } = await pylonJson<{ data: { id: string }[] }>("/api/entities/Todo");
 */
export function pylonJson<T = unknown>(
  path: `/${string}`,
  init?: RequestInit,
  config?: PylonServerConfig,
): Promise<T> {
  return new PylonServer(config).json<T>(path, init);
}

/**
 * Lists the OAuth providers for sign-in.
 *
 * @throws PylonUnreachableError
 *
 * @example
 * const names = (await getOAuthProviders()).map(({ provider }) => provider);
 */
export function getOAuthProviders(config?: PylonServerConfig): Promise<readonly OAuthProvider[]> {
  return new PylonServer(config).getOAuthProviders();
}
