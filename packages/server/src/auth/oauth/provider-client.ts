import type * as OAuth from "oauth4webapi";
import { PylonError } from "@pylonsync/protocol";
import type { OAuthProviderConfig } from "../../config/oauth-variables.ts";
import type { Platform } from "../../platform.ts";
import { CATALOGUE, type Endpoints, type ProviderSpec } from "./catalogue.ts";
import { cleanProfile } from "./clean-profile.ts";
import { basicAuth, clientSecret } from "./client-secret.ts";
import { oauthFailure } from "./oauth-failure.ts";
import type { Fetch } from "./outgoing.ts";
import { readClaims } from "./profile-readers.ts";
import type { OAuthProfile } from "./profile.ts";
import { tenantOf, toStandardAnswer } from "./token-answer.ts";

const DISCOVERY_KEPT_MS = 60 * 60_000;
const MAX_ID = 500;
const TENANT = "{tid}";

/** The tokens that a provider issued for its API. */
export interface ProviderTokens {
  readonly accessToken: string;
  readonly refreshToken: string | null;
  /** Milliseconds since 1970; null if the provider does not say. */
  readonly expiresAt: number | null;
}

/** The values of a sign-in that was started, in addition to its state. */
export interface Begun {
  readonly redirectUri: string;
  readonly verifier: string;
  readonly nonce: string;
}

/** What the browser returned with. */
export interface AuthorizationResponse {
  readonly code: string;
  /** RFC 9207: the issuer that claims to have issued the code. */
  readonly issuer: string | null;
  /** What Apple posts in addition to the code. */
  readonly form: unknown;
}

/** Which provider is used, and how. */
export interface ProviderClientOptions {
  readonly config: OAuthProviderConfig;
  readonly endpoints?: Partial<Endpoints> | undefined;
  readonly dev: boolean;
  readonly fetch: Fetch;
  readonly platform: Platform;
}

/**
 * The client of one provider. oauth4webapi implements the protocol; it is loaded when the first
 * person signs in.
 */
export class ProviderClient {
  readonly name: string;
  readonly #options: ProviderClientOptions;
  readonly #spec: ProviderSpec;
  readonly #client: OAuth.Client;
  /** The library caches the providers' keys in it. */
  readonly #keys = {};
  #discovered: { readonly server: OAuth.AuthorizationServer; readonly until: number } | null = null;

  constructor(options: ProviderClientOptions) {
    const { config, endpoints } = options;
    this.#options = options;
    this.name = config.name;
    this.#client = { client_id: config.clientId };
    const spec = config.issuer === null ? CATALOGUE.get(config.name) : GENERIC;
    if (spec === undefined) throw new Error(`There is no provider ${config.name}.`);
    this.#spec = { ...spec, endpoints: { ...spec.endpoints, ...endpoints } };
  }

  /**
   * Whether the code is returned in a POST of the provider's page: the cookie must then be one that
   * such a POST carries.
   */
  get usesFormPost(): boolean {
    return this.#spec.usesFormPost === true;
  }

  /** The URL to redirect the browser to. @throws PylonError OAUTH_FAILED, OAUTH_UNREACHABLE */
  async authorizationUrl({ redirectUri, verifier, nonce }: Begun, state: string): Promise<string> {
    const { scopes, scopeSeparator = " ", params, clientIdParam = "client_id", pkce } = this.#spec;
    return this.#guard(async (oauth) => {
      const server = await this.#server(oauth);
      const url = new URL(server.authorization_endpoint ?? "");
      const all = {
        ...params,
        [clientIdParam]: this.#client.client_id,
        redirect_uri: redirectUri,
        response_type: "code",
        state,
        ...(scopes.length === 0 ? {} : { scope: scopes.join(scopeSeparator) }),
        ...(this.#isOidc ? { nonce } : {}),
        ...(pkce === false
          ? {}
          : {
              code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
              code_challenge_method: "S256",
            }),
        ...(this.usesFormPost ? { response_mode: "form_post" } : {}),
      };
      for (const [name, value] of Object.entries(all)) url.searchParams.set(name, value);
      return url.href;
    });
  }

  /**
   * Exchanges the code for tokens and the person's profile.
   *
   * @throws PylonError OAUTH_FAILED, OAUTH_UNREACHABLE
   */
  async finish(
    { code, issuer, form }: AuthorizationResponse,
    begun: Begun,
  ): Promise<{ readonly tokens: ProviderTokens; readonly profile: OAuthProfile }> {
    return this.#guard(async (oauth) => {
      const server = await this.#server(oauth);
      const brought = new URLSearchParams({ code });
      // Only if the issuer is known exactly: the `iss` of other providers is not the one in the
      // catalogue.
      if (this.#isDiscovered && issuer !== null) brought.set("iss", issuer);
      const params = oauth.validateAuthResponse(
        server,
        this.#client,
        brought,
        oauth.skipStateCheck,
      );
      const verifier = this.#spec.pkce === false ? oauth.nopkce : begun.verifier;
      const request = await oauth.authorizationCodeGrantRequest(
        server,
        this.#client,
        this.#clientAuth(oauth, server),
        params,
        begun.redirectUri,
        verifier,
        this.#requestOptions(oauth),
      );
      const response = await toStandardAnswer(request, this.#isOidc);
      const issuing = await this.#issuing(server, response);
      const answer = await oauth.processAuthorizationCodeResponse(
        issuing,
        this.#client,
        response,
        this.#isOidc ? { expectedNonce: begun.nonce, requireIdToken: true } : {},
      );
      if (this.#isOidc)
        await oauth.validateApplicationLevelSignature(issuing, response, {
          ...this.#requestOptions(oauth),
          [oauth.jwksCache]: this.#keys,
        });
      const tokens = this.#tokensOf(answer);
      return { tokens, profile: await this.#profile(oauth, issuing, answer, form) };
    });
  }

  /** @throws PylonError OAUTH_FAILED, OAUTH_UNREACHABLE */
  async refresh(refreshToken: string): Promise<ProviderTokens> {
    return this.#guard(async (oauth) => {
      const server = await this.#server(oauth);
      const refreshing = {
        ...server,
        token_endpoint: this.#spec.endpoints.refresh ?? server.token_endpoint ?? "",
      };
      const request = await oauth.refreshTokenGrantRequest(
        refreshing,
        this.#client,
        this.#clientAuth(oauth, server),
        refreshToken,
        this.#requestOptions(oauth),
      );
      // Nobody signs in here, so no id_token is required.
      const answer = await oauth.processRefreshTokenResponse(
        server,
        this.#client,
        await toStandardAnswer(request, false),
      );
      const tokens = this.#tokensOf(answer);
      return { ...tokens, refreshToken: tokens.refreshToken ?? refreshToken };
    });
  }

  get #isDiscovered(): boolean {
    return this.#options.config.issuer !== null;
  }

  get #isOidc(): boolean {
    return this.#isDiscovered || this.#spec.endpoints.jwks !== undefined;
  }

  async #server(oauth: typeof OAuth): Promise<OAuth.AuthorizationServer> {
    const { issuer } = this.#options.config;
    return issuer === null ? this.#listed() : this.#discover(oauth, new URL(issuer));
  }

  #listed(): OAuth.AuthorizationServer {
    const { authorization, token, issuer, jwks, userinfo } = this.#spec.endpoints;
    return {
      issuer: issuer ?? new URL(authorization).origin,
      authorization_endpoint: authorization,
      token_endpoint: token,
      ...(jwks === undefined ? {} : { jwks_uri: jwks }),
      ...(userinfo === undefined ? {} : { userinfo_endpoint: userinfo }),
    };
  }

  async #discover(oauth: typeof OAuth, issuer: URL): Promise<OAuth.AuthorizationServer> {
    const now = this.#options.platform.now();
    if (this.#discovered !== null && this.#discovered.until > now) return this.#discovered.server;
    const response = await oauth.discoveryRequest(issuer, this.#requestOptions(oauth));
    const server = await oauth.processDiscoveryResponse(issuer, response);
    if (
      server.authorization_endpoint === undefined ||
      server.token_endpoint === undefined ||
      server.jwks_uri === undefined
    ) {
      throw new PylonError(
        "OAUTH_FAILED",
        `The discovery document of ${this.name} contains no endpoints.`,
      );
    }
    this.#discovered = { server, until: now + DISCOVERY_KEPT_MS };
    return server;
  }

  /** Returns the issuer that the id_token must name: for Microsoft that of its tenant. */
  async #issuing(
    server: OAuth.AuthorizationServer,
    response: Response,
  ): Promise<OAuth.AuthorizationServer> {
    if (!server.issuer.includes(TENANT)) return server;
    return { ...server, issuer: server.issuer.replace(TENANT, await tenantOf(response)) };
  }

  async #profile(
    oauth: typeof OAuth,
    server: OAuth.AuthorizationServer,
    answer: OAuth.TokenEndpointResponse,
    form: unknown,
  ): Promise<OAuthProfile> {
    const { endpoints, userBody, readProfile } = this.#spec;
    const idToken = oauth.getValidatedIdTokenClaims(answer);
    let claims: Readonly<Record<string, unknown>> = { ...idToken };
    if (
      idToken !== undefined &&
      idToken["email"] === undefined &&
      server.userinfo_endpoint !== undefined
    ) {
      const response = await oauth.userInfoRequest(
        server,
        this.#client,
        answer.access_token,
        this.#requestOptions(oauth),
      );
      claims = {
        ...claims,
        ...(await oauth.processUserInfoResponse(server, this.#client, idToken.sub, response)),
      };
    }
    const user =
      endpoints.user === undefined
        ? null
        : await this.#ask(endpoints.user, answer.access_token, userBody);
    const emails =
      endpoints.emails === undefined
        ? null
        : await this.#ask(endpoints.emails, answer.access_token);
    const profile = readProfile({ claims, user, emails, form });
    if (profile === null || profile.id.length > MAX_ID)
      throw new PylonError("OAUTH_FAILED", `${this.name} did not return a valid user id.`);
    return cleanProfile(profile);
  }

  /** @param body undefined: a GET */
  async #ask(url: string, accessToken: string, body?: string | null): Promise<unknown> {
    const { userHeaders, clientIdHeader } = this.#spec;
    const headers = {
      Accept: "application/json",
      ...userHeaders,
      ...(clientIdHeader === undefined ? {} : { [clientIdHeader]: this.#client.client_id }),
      Authorization: `Bearer ${accessToken}`,
    };
    const response = await this.#options.fetch(
      url,
      body === undefined ? { headers } : { method: "POST", headers, body },
    );
    if (!response.ok)
      throw new PylonError(
        "OAUTH_FAILED",
        `${this.name} did not return the profile (status ${response.status}).`,
      );
    return response.json();
  }

  #clientAuth(oauth: typeof OAuth, server: OAuth.AuthorizationServer): OAuth.ClientAuth {
    const { config, platform } = this.#options;
    const secret = clientSecret(config.secret, config.clientId, platform.now());
    const { clientIdParam } = this.#spec;
    const authenticate = this.#takesBasic(server)
      ? basicAuth(secret)
      : oauth.ClientSecretPost(secret);
    return (issuer, client, body, headers) => {
      if (clientIdParam !== undefined) body.set(clientIdParam, client.client_id);
      return authenticate(issuer, client, body, headers);
    };
  }

  #takesBasic(server: OAuth.AuthorizationServer): boolean {
    const methods = server.token_endpoint_auth_methods_supported;
    return methods === undefined || !this.#isDiscovered
      ? this.#spec.clientAuth === "basic"
      : methods.includes("client_secret_basic");
  }

  #tokensOf({
    access_token: accessToken,
    refresh_token: refreshToken,
    expires_in: expiresIn,
  }: OAuth.TokenEndpointResponse): ProviderTokens {
    return {
      accessToken,
      refreshToken: refreshToken ?? null,
      expiresAt: expiresIn === undefined ? null : this.#options.platform.now() + expiresIn * 1000,
    };
  }

  #requestOptions(oauth: typeof OAuth): {
    [OAuth.customFetch]: (url: string, init: RequestInit) => Promise<Response>;
    [OAuth.allowInsecureRequests]: boolean;
  } {
    const { fetch, dev } = this.#options;
    return { [oauth.customFetch]: fetch, [oauth.allowInsecureRequests]: dev };
  }

  /** Loads the library, and does not let its errors, which contain responses, propagate. */
  async #guard<T>(work: (oauth: typeof OAuth) => Promise<T>): Promise<T> {
    try {
      return await work(await import("oauth4webapi"));
    } catch (error) {
      throw oauthFailure(this.name, error);
    }
  }
}

/** An issuer whose endpoints are discovered. */
const GENERIC: ProviderSpec = {
  endpoints: { authorization: "", token: "" },
  scopes: ["openid", "email", "profile"],
  clientAuth: "basic",
  readProfile: readClaims,
};
