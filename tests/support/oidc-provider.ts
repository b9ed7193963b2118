import Provider from "oidc-provider";
import { freePort } from "./servers/free-port.ts";

export interface OidcServer {
  readonly issuer: string;
  /**
   * Signs in at the provider as this user and gives consent. @returns the URL to which the browser
   * is then redirected
   */
  readonly signIn: (authorizationUrl: string, login: string) => Promise<string>;
  readonly stop: () => Promise<void>;
}

export const OIDC_CLIENT = { id: "the-client", secret: "canary-client-secret" };

interface Options {
  /** Also to a client that did not request one, as some providers do. */
  readonly givesRefreshTokens?: boolean;
  /**
   * Supports no PKCE, expects the secret in the body, and gives an id_token to a client that
   * requests only name and email.
   */
  readonly isLikeApple?: boolean;
}

/**
 * A real OIDC provider on loopback: a typed name is that user. `unverified-x` has an unverified
 * address.
 */
export async function startOidcProvider(
  redirectUri: string,
  options: Options = {},
): Promise<OidcServer> {
  const port = await freePort();
  const issuer = `http://localhost:${port}`;
  const server = providerFor(issuer, redirectUri, options).listen(port, "localhost");
  await new Promise<void>((resolve) => server.once("listening", resolve));
  return {
    issuer,
    signIn: (authorizationUrl, login) => signInAt(issuer, authorizationUrl, login),
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function providerFor(
  issuer: string,
  redirectUri: string,
  { isLikeApple = false, givesRefreshTokens = false }: Options,
): Provider {
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: OIDC_CLIENT.id,
        client_secret: OIDC_CLIENT.secret,
        redirect_uris: [redirectUri],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        ...(isLikeApple ? { token_endpoint_auth_method: "client_secret_post" as const } : {}),
      },
    ],
    pkce: { required: () => !isLikeApple },
    scopes: ["openid", "email", "profile", "offline_access"],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    conformIdTokenClaims: false,
    ...(givesRefreshTokens
      ? { issueRefreshToken: () => Promise.resolve(true), rotateRefreshToken: true }
      : {}),
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        email: `${id.replace("unverified-", "")}@example.com`,
        email_verified: !id.startsWith("unverified-"),
        name: `The ${id}`,
      }),
    }),
    cookies: { keys: ["for the tests"] },
  });
  if (isLikeApple) {
    provider.use((context, next) => {
      if (context.path === "/auth")
        context.query = { ...context.query, scope: "openid email profile" };
      return next();
    });
  }
  return provider;
}

/** Acts as a browser at the provider, from page to page, until it is redirected elsewhere. */
async function signInAt(issuer: string, authorizationUrl: string, login: string): Promise<string> {
  const jar = new Map<string, string>();
  let at = await go(jar, authorizationUrl);
  for (let step = 0; step < 6 && at.startsWith(issuer); step += 1) {
    const isInteraction = new URL(at).pathname.startsWith("/interaction/");
    if (!isInteraction) at = await go(jar, at);
    else
      at = await go(
        jar,
        at,
        step < 2 ? { prompt: "login", login, password: "any" } : { prompt: "consent" },
      );
  }
  return at;
}

/**
 * Sends one request with the cookies of the jar, which stores those of the response.
 *
 * @returns where the response redirects to
 */
async function go(
  jar: Map<string, string>,
  url: string,
  form?: Readonly<Record<string, string>>,
): Promise<string> {
  const headers = { Cookie: [...jar].map(([name, value]) => `${name}=${value}`).join("; ") };
  const response = await fetch(url, {
    redirect: "manual",
    headers,
    ...(form === undefined ? {} : { method: "POST", body: new URLSearchParams(form) }),
  });
  for (const cookie of response.headers.getSetCookie()) {
    const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
    jar.set(name, value);
  }
  const location = response.headers.get("location");
  if (location === null)
    throw new Error(
      `The provider answered ${response.status}: ${(await response.text()).slice(0, 500)}`,
    );
  return new URL(location, url).href;
}
