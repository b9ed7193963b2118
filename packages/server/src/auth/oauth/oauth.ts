import { PylonError } from "@pylonsync/protocol";
import type { OAuthProviderConfig } from "../../config/oauth-variables.ts";
import { ANONYMOUS, type Identity } from "../../identity/identity.ts";
import { RequestContext } from "../../request/context.ts";
import type { Reader } from "../../store/store.ts";
import type { AuthServices } from "../auth-services.ts";
import type { SignsIn } from "../security/credentials.ts";
import { KeyLock } from "../security/key-lock.ts";
import { newToken } from "../security/secrets.ts";
import type { SignedIn } from "../sessions/signed-in.ts";
import { Accounts, type NewAccount } from "./accounts.ts";
import type { Endpoints } from "./catalogue.ts";
import { LoginStates, type LoginState } from "./login-state.ts";
import { refusedBy } from "./oauth-failure.ts";
import { outgoing } from "./outgoing.ts";
import {
  ProviderClient,
  type AuthorizationResponse,
  type ProviderTokens,
} from "./provider-client.ts";
import { AccountLinker, type AccountOwner } from "./account-linker.ts";

/** The settings of sign-in with OAuth providers. */
export interface OAuthOptions {
  readonly providers: readonly OAuthProviderConfig[];
  /** Whether cookies are sent over https only. */
  readonly isSecure: boolean;
  /** Replacement endpoints by provider, for tests. */
  readonly endpoints?: Readonly<Record<string, Partial<Endpoints>>> | undefined;
}

/** The services that the OAuth routes need. */
export interface OAuthServices extends AuthServices {
  readonly oauth: OAuthSignIn;
}

/** Where the browser is redirected at the end of a sign-in. */
export interface Targets {
  readonly callback: string;
  readonly errorCallback: string;
}

/** The parameters of the provider's redirect or form. */
export interface CallbackParams extends Omit<AuthorizationResponse, "code"> {
  readonly code: string | null;
  readonly state: string | null;
  /** The provider's error. */
  readonly error: string | null;
}

/** Sign-in with provider accounts, which are among the credentials of their users. */
export class OAuthSignIn {
  readonly accounts: Accounts;
  readonly #services: AuthServices;
  readonly #clients: ReadonlyMap<string, ProviderClient>;
  readonly #redirects: ReadonlyMap<string, string | null>;
  readonly #states: LoginStates;
  readonly #linker: AccountLinker;
  readonly #refreshing = new KeyLock();

  constructor(services: AuthServices, { providers, isSecure, endpoints = {} }: OAuthOptions) {
    const { store, platform, tokens, settings } = services;
    const fetch = outgoing({ dev: settings.dev, platform });
    this.#services = services;
    this.#clients = new Map(
      providers.map((config) => [
        config.name,
        new ProviderClient({
          config,
          endpoints: endpoints[config.name],
          dev: settings.dev,
          fetch,
          platform,
        }),
      ]),
    );
    this.#redirects = new Map(providers.map(({ name, redirect }) => [name, redirect]));
    this.#states = new LoginStates(tokens, platform, isSecure);
    this.accounts = new Accounts(store, platform, settings.encryption);
    this.#linker = new AccountLinker(services, this.accounts);
    services.credentials.add({
      forget: (userId) => this.accounts.unlinkAll(userId),
      signsIn: this.signsIn,
      ways: async (userId) => ({ providers: await this.#providersOf(userId) }),
    });
  }

  /** Whether the user has an account at a provider that is still configured. */
  readonly signsIn: SignsIn = async (userId, reader) =>
    (await this.#providersOf(userId, reader)).length > 0;

  /** The configured providers. */
  get names(): string[] {
    return [...this.#clients.keys()];
  }

  /** @throws PylonError PROVIDER_NOT_FOUND */
  check(provider: string): void {
    this.#client(provider);
  }

  /**
   * Starts a sign-in.
   *
   * @returns the URL to redirect the browser to, and the cookie that it needs when it returns
   * @throws PylonError PROVIDER_NOT_FOUND, OAUTH_FAILED, OAUTH_UNREACHABLE
   */
  async begin(
    { request, identity }: RequestContext,
    provider: string,
    targets: Targets,
    link: LoginState["link"],
  ): Promise<{ readonly redirect: string; readonly state: string; readonly cookie: string }> {
    const client = this.#client(provider);
    const { platform, settings } = this.#services;
    const redirectUri =
      this.#redirects.get(provider) ??
      `${settings.origins.publicUrl(request)}/api/auth/callback/${provider}`;
    const begun = { redirectUri, verifier: newToken(platform), nonce: newToken(platform) };
    const { state, cookie } = await this.#states.begin(
      request,
      { ...begun, ...targets, provider, sessionId: identity.sessionId, link },
      client.usesFormPost,
    );
    return { redirect: await client.authorizationUrl(begun, state), state, cookie };
  }

  /**
   * Consumes the state of the sign-in that the browser returns from: it can't be completed twice.
   *
   * @throws PylonError PROVIDER_NOT_FOUND, INVALID_STATE
   */
  async consumeState(
    request: Request,
    provider: string,
    state: string | null,
  ): Promise<LoginState> {
    const { usesFormPost } = this.#client(provider);
    return this.#states.take(request, state ?? "", provider, usesFormPost);
  }

  /**
   * Signs in the person that the provider confirms.
   *
   * @returns null if a signed-in user linked the account: the session continues
   * @throws PylonError OAUTH_DENIED, OAUTH_FAILED, ACCOUNT_EXISTS, ACCOUNT_TAKEN, AUTH_REQUIRED,
   *   MFA_REQUIRED
   */
  async finish(
    context: RequestContext,
    state: LoginState,
    { code, error, ...brought }: CallbackParams,
  ): Promise<SignedIn | null> {
    const { provider, link } = state;
    if (error !== null) throw refusedBy(provider, error);
    if (code === null)
      throw new PylonError("MISSING_CODE", "The provider returned no authorization code.", {
        field: "code",
      });
    const { profile, tokens } = await this.#client(provider).finish({ ...brought, code }, state);
    const account = { provider, profile, tokens };
    const started = await this.#startedBy(context, state);
    const { userId, epoch } =
      link === null
        ? await this.#linker.userOf(started, account)
        : await this.#link(started, account, link);
    if (link !== null && userId === started.caller.userId) return null;
    return this.#services.signIn.complete(started, { userId, method: `oauth:${provider}`, epoch });
  }

  /**
   * Refreshes the tokens for the provider's API of the user's newest account there.
   *
   * @returns when the access token expires, in milliseconds since 1970; null if the provider does
   *   not say
   * @throws PylonError ACCOUNT_NOT_FOUND, NO_REFRESH_TOKEN, OAUTH_FAILED
   */
  async refresh(userId: string, provider: string): Promise<number | null> {
    const client = this.#client(provider);
    const account = (await this.accounts.list(userId)).find(
      (candidate) => candidate.provider === provider,
    );
    if (account === undefined)
      throw new PylonError("ACCOUNT_NOT_FOUND", `This user has no ${provider} account.`, {
        hint: `Sign in with ${provider} first.`,
      });
    // If a refresh token is valid for one use only, two concurrent uses would lose the account.
    return this.#refreshing.run(account.id, async () => {
      const refreshToken = (await this.accounts.tokens(account.id))?.refreshToken;
      if (typeof refreshToken !== "string")
        throw new PylonError("NO_REFRESH_TOKEN", `There is no refresh token from ${provider}.`, {
          hint: "Outside dev mode, tokens are stored only if PYLON_SSO_ENCRYPTION_KEY is set.",
        });
      const tokens: ProviderTokens = await client.refresh(refreshToken);
      await this.accounts.keepTokens(account.id, tokens);
      return tokens.expiresAt;
    });
  }

  async #link(
    started: RequestContext,
    account: NewAccount,
    link: "asked" | "implied",
  ): Promise<AccountOwner> {
    const { userId } = started.caller;
    if (userId === null)
      throw new PylonError("AUTH_REQUIRED", "You were signed out in the meantime.", {
        hint: "Sign in, and link the account again.",
      });
    return this.#linker.link(started, userId, account, link === "implied");
  }

  /**
   * Returns the request as if it were sent in the session that started the sign-in: a browser
   * returns without its bearer token.
   */
  async #startedBy(context: RequestContext, { sessionId }: LoginState): Promise<RequestContext> {
    if (sessionId === null) return context;
    const session = await this.#services.sessions.get(sessionId);
    const { request, params, requestId } = context;
    const as = (identity: Identity): RequestContext =>
      new RequestContext(request, params, identity, () => context.address, requestId);
    if (session === null || session.expiresAt <= this.#services.platform.now())
      return as({ caller: ANONYMOUS, sessionId: null, expiresAt: Infinity });
    const { userId, isGuest, tenantId, roles } = session;
    return as({
      caller: { ...ANONYMOUS, userId, isGuest, tenantId, roles },
      sessionId,
      expiresAt: session.expiresAt,
    });
  }

  async #providersOf(userId: string, reader?: Reader): Promise<string[]> {
    const accounts = await this.accounts.list(userId, reader);
    return accounts.map(({ provider }) => provider).filter((name) => this.#clients.has(name));
  }

  #client(provider: string): ProviderClient {
    const client = this.#clients.get(provider);
    if (client !== undefined) return client;
    const none = this.names.length === 0 ? ": none yet, see docs/oauth.md" : "";
    throw new PylonError(
      "PROVIDER_NOT_FOUND",
      `Sign-in with "${provider.slice(0, 50)}" is not configured on this server.`,
      { hint: `GET /api/auth/providers lists the configured providers${none}.` },
    );
  }
}
