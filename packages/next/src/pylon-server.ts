import { redirect } from "next/navigation";
import type { User } from "@pylonsync/react";
import { cookies } from "next/headers";
import { PylonServerClient, type PylonServerOptions } from "./server-client.ts";
import { cookieNameOf } from "./settings.ts";
import type { OAuthProvider } from "./wire.ts";

/** Options of `createPylonServer`, under the names of the public system too. */
export interface PylonServerConfig extends PylonServerOptions {
  /** @deprecated Use `url`. */
  readonly target?: string | undefined;
  /** @deprecated Use `signIn`. */
  readonly loginUrl?: string | undefined;
}

/** Who sent a request, as `getAuth` returns it. */
export interface PylonAuth {
  readonly userId: string;
  readonly tenantId: string | null;
  readonly isAdmin: boolean;
  /** The session's cookie, as a request to the Pylon server sends it. */
  readonly cookieHeader: string;
}

/**
 * A `PylonServerClient` that has the names of the public system besides.
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

  /** Who sent the request; null where nobody is signed in. @throws PylonUnreachableError */
  async getAuth(): Promise<PylonAuth | null> {
    const session = await this.getSession();
    if (session === null) return null;
    const { userId, tenantId, isAdmin } = session;
    const name = cookieNameOf(this.#cookie);
    const value = (await cookies()).get(name)?.value ?? "";
    return { userId, tenantId, isAdmin, cookieHeader: `${name}=${encodeURIComponent(value)}` };
  }

  /** The same; where nobody is signed in, the browser is sent to sign in. */
  async requireAuth(): Promise<PylonAuth> {
    return (await this.getAuth()) ?? redirect(this.#signIn);
  }

  /** The row of the user, without what the app hides; null for guests and for nobody. */
  getMe<T = User>(): Promise<T | null>;
  async getMe(): Promise<unknown> {
    return (await this.auth()).user;
  }

  /** The same; where there is none, the browser is sent to sign in. */
  async requireMe<T = User>(): Promise<T> {
    return (await this.getMe<T>()) ?? redirect(this.#signIn);
  }

  /** The providers that users may sign in with. @throws PylonUnreachableError */
  getOAuthProviders(): Promise<readonly OAuthProvider[]> {
    return this.json<readonly OAuthProvider[]>("/api/auth/providers");
  }
}

/**
 * Who sent the request; null where nobody is signed in. `getSession` tells more.
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
 * Who sent the request; a browser that is not signed in is sent to sign in.
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
 * Asks the Pylon server as who sent the request.
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
 * The JSON that the Pylon server answers to who sent the request.
 *
 * @throws PylonClientError when it is refused, PylonUnreachableError
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
 * The providers that users may sign in with.
 *
 * @throws PylonUnreachableError
 *
 * @example
 * const names = (await getOAuthProviders()).map(({ provider }) => provider);
 */
export function getOAuthProviders(config?: PylonServerConfig): Promise<readonly OAuthProvider[]> {
  return new PylonServer(config).getOAuthProviders();
}
