import type { AuthCode, ManifestAuth } from "@pylonsync/sdk";
import type { OAuthProviderConfig } from "../config/oauth-variables.ts";
import type { Committer } from "../data/commit.ts";
import type { DataModel } from "../data/model.ts";
import type { Mailer } from "../mail/mailer.ts";
import type { Platform } from "../platform.ts";
import type { RequestReader } from "../request/reading.ts";
import type { Route } from "../request/route.ts";
import type { Reader, Store } from "../store/store.ts";
import type { DatabaseConfig } from "../config/config.ts";
import { adminAuthRoutes } from "./account/admin-auth-routes.ts";
import { resetRoutes } from "./account/reset-routes.ts";
import { accountRoutes } from "./account/account-routes.ts";
import { apiKeyRoutes } from "./api-keys/api-key-routes.ts";
import { ApiKeys } from "./api-keys/api-keys.ts";
import { AttemptLimits } from "./security/attempt-limits.ts";
import { AuditLog } from "./security/audit.ts";
import { AuthMails, type MailQueue } from "./email-sign-in/auth-mails.ts";
import type { AuthServices } from "./auth-services.ts";
import type { AuthSettings } from "./security/auth-settings.ts";
import { Authenticator } from "./sessions/authenticator.ts";
import { Credentials } from "./security/credentials.ts";
import { emailRoutes } from "./email-sign-in/email-routes.ts";
import { Encryption, encryptionSecretOf } from "./security/encryption.ts";
import { GuestUpgrade } from "./users/guest-upgrade.ts";
import { jwtRoutes } from "./jwt/jwt-routes.ts";
import { Jwts } from "./jwt/jwts.ts";
import { magicLinkRoutes } from "./email-sign-in/magic-link-routes.ts";
import { createMcpOAuth, type McpOAuth } from "./mcp-oauth/mcp-oauth.ts";
import type { Endpoints } from "./oauth/catalogue.ts";
import { OAuthSignIn } from "./oauth/oauth.ts";
import { oauthRoutes } from "./oauth/routes.ts";
import { OneTimeCodes } from "./security/one-time-codes.ts";
import { OneTimeTokens } from "./security/one-time-tokens.ts";
import { AppMembers } from "./organizations/app-members.ts";
import { organizationRoutes } from "./organizations/organization-routes.ts";
import { Organizations } from "./organizations/organizations.ts";
import { TenantSessions } from "./organizations/tenant-sessions.ts";
import { authPageRoutes } from "./pages/page-routes.ts";
import { passkeyRoutes, type PasskeyServices } from "./passkeys/passkey-routes.ts";
import { Passkeys } from "./passkeys/passkeys.ts";
import { passwordRoutes } from "./passwords/password-routes.ts";
import { Passwords } from "./passwords/passwords.ts";
import { PendingSignUps } from "./passwords/pending-sign-ups.ts";
import {
  secondFactorRoutes,
  type SecondFactorServices,
} from "./second-factors/second-factor-routes.ts";
import { SecondFactors } from "./second-factors/second-factors.ts";
import { TotpFactors } from "./second-factors/totp-factors.ts";
import { TrustedDevices } from "./second-factors/trusted-devices.ts";
import { SessionCookie, type CookieSettings } from "./sessions/session-cookie.ts";
import { sessionRoutes } from "./sessions/session-routes.ts";
import { Sessions } from "./sessions/sessions.ts";
import { SignIn, type SecondFactor } from "./sign-in/sign-in.ts";
import { SignInOutcomes } from "./sign-in/sign-in-outcomes.ts";
import { TrustedOrigins } from "./security/trusted-origins.ts";
import { UserData } from "./account/user-data.ts";
import { UserRemoval } from "./account/user-removal.ts";
import { Users } from "./users/users.ts";

const DEFAULT_SESSION_S = 30 * 24 * 60 * 60;

/** The dependencies of authentication. */
export interface AuthOptions {
  readonly store: Store;
  /** Reads on behalf of a request's caller. */
  readonly reader: RequestReader;
  readonly committer: Committer;
  readonly model: () => DataModel;
  readonly platform: Platform;
  readonly mailer: Pick<Mailer, "canSend">;
  /** The queue in which mails wait until they are sent. */
  readonly mailQueue: MailQueue;
  /** The app's `auth()` declaration, and the code that it contains. */
  readonly manifest: () => { readonly name: string; readonly auth?: ManifestAuth };
  readonly code: () => AuthCode;
  readonly dev: boolean;
  readonly database: DatabaseConfig;
  /** The bearer of one of these tokens is the admin. */
  readonly adminTokens: readonly string[];
  readonly publicUrl: string | null;
  /**
   * Exact origins from the environment. Pages of the first ones may send cookies and be redirected
   * to; pages of the second ones may only send cookies.
   */
  readonly trustedOrigins: readonly string[];
  readonly csrfOrigins: readonly string[];
  readonly cookie: Omit<CookieSettings, "name"> & { readonly name: string | undefined };
  readonly encryptionSecret: string | null;
  readonly oauth: readonly OAuthProviderConfig[];
  /** Replacement endpoints by provider, for tests. */
  readonly oauthEndpoints?: Readonly<Record<string, Partial<Endpoints>>> | undefined;
  readonly jwtSecret: string | null;
  readonly maxSessionsPerUser: number;
  readonly maxOrganizationsPerUser: number;
  /** Whether the app serves tools to models: users can then give MCP clients access by OAuth. */
  readonly hasMcp: boolean;
  readonly onError: (message: string, error: unknown) => void;
}

/** The parts of authentication that the rest of the server uses. */
export interface Auth {
  readonly sessions: Sessions;
  readonly apiKeys: ApiKeys;
  readonly authenticator: Authenticator;
  readonly routes: readonly Route[];
  /** Null for an app without tools for models, or without users. */
  readonly mcpOAuth: McpOAuth | null;
  /** The number of sign-in attempts since the start, by outcome. */
  readonly signIns: SignInOutcomes["counts"];
  /** Reads the mails in the queue. */
  readonly mails: Pick<AuthMails, "open">;
  /** Deletes expired data. */
  forgetExpired(): Promise<void>;
}

/** Creates the services and routes of authentication. */
export function createAuth(options: AuthOptions): Auth {
  const { store, platform, committer, model } = options;
  const settings = settingsOf(options);
  const cookie = cookieOf(options);
  const factors = factorsOf(options, settings, cookie);
  const secondFactor = new SecondFactors(factors.totp, factors.devices);
  const services = createServices(options, settings, cookie, secondFactor);
  const { sessions, apiKeys, users, tokens, codes, attempts, audit, outcomes } = services;
  addCredentials(services, factors);
  const jwts = new Jwts(options.jwtSecret, sessions, settings.appName, platform);
  const tenants = new TenantSessions(sessions, apiKeys);
  const organizations = new Organizations(
    store,
    platform,
    (userId, id, role) => tenants.changed(userId, id, role),
    options.maxOrganizationsPerUser,
  );
  const oauth = new OAuthSignIn(services, {
    providers: options.oauth,
    isSecure: options.cookie.secure,
    endpoints: options.oauthEndpoints,
  });
  const removal = new UserRemoval({ ...options, users, sessions, apiKeys, organizations });
  committer.onDeleteCascade(removal);
  const appMembers = new AppMembers(model, tenants);
  committer.onDeleteCascade(appMembers);
  const mcpOAuth = options.hasMcp && users.isDeclared ? createMcpOAuth(services) : null;
  const data = new UserData({ ...options, users, sessions, organizations, audit, removal });
  return {
    sessions,
    authenticator: new Authenticator(sessions, cookie, settings.origins, [apiKeys, jwts]),
    apiKeys,
    signIns: outcomes.counts,
    mails: services.mails,
    mcpOAuth,
    routes: [
      ...sessionRoutes(services),
      ...passwordRoutes(services),
      ...emailRoutes(services),
      ...magicLinkRoutes(services),
      ...accountRoutes({ ...services, data, organizations, reader: options.reader }),
      ...apiKeyRoutes(services),
      ...jwtRoutes(jwts),
      ...organizationRoutes({ ...services, organizations, tenants, appMembers }),
      ...secondFactorRoutes({ ...services, ...factors }),
      ...passkeyRoutes({ ...services, ...factors }),
      ...oauthRoutes({ ...services, oauth }),
      ...authPageRoutes(services),
      ...(mcpOAuth?.routes ?? []),
      ...adminAuthRoutes({ store }),
      ...resetRoutes({ ...options, sessions, apiKeys, isAllowed: isForTests(options) }),
    ],
    async forgetExpired() {
      const { devices } = factors;
      await forget([sessions, apiKeys, tokens, codes, attempts, devices, organizations, audit]);
      await mcpOAuth?.forgetExpired();
      await removal.forgetImages();
    },
  };
}

async function forget(parts: readonly { forgetExpired(): unknown }[]): Promise<void> {
  for (const part of parts) await part.forgetExpired();
}

/** Creates the second factors and the passkeys. */
function factorsOf(
  { store, platform }: AuthOptions,
  { encryption }: AuthSettings,
  cookie: SessionCookie,
): Pick<SecondFactorServices, "totp" | "devices"> & Pick<PasskeyServices, "passkeys"> {
  return {
    totp: new TotpFactors(store, platform, encryption),
    devices: new TrustedDevices(store, platform, cookie),
    passkeys: new Passkeys(store, platform),
  };
}

/** Whether any program on this machine may empty the database. */
function isForTests({ dev, database }: AuthOptions): boolean {
  return dev && database.kind === "sqlite" && database.isTemporary;
}

/** Combines the app's declaration and the environment into the settings of authentication. */
function settingsOf(options: AuthOptions): AuthSettings {
  const { dev, manifest } = options;
  const declared = (): ManifestAuth => manifest().auth ?? {};
  return {
    dev,
    appName: () => manifest().name,
    sessionLifetimeMs: () => (declared().session?.expiresIn ?? DEFAULT_SESSION_S) * 1000,
    hasPages: () => declared().pages !== false,
    origins: new TrustedOrigins({
      dev,
      publicUrl: options.publicUrl,
      trusted: () => [...options.trustedOrigins, ...(declared().trustedOrigins ?? [])],
      csrf: options.csrfOrigins,
    }),
    encryption: new Encryption(encryptionSecretOf(options), options.platform),
  };
}

function cookieOf({ cookie, manifest }: AuthOptions): SessionCookie {
  return new SessionCookie(() => ({
    ...cookie,
    name: cookie.name ?? `${cookieSafe(manifest().name)}_session`,
  }));
}

/** Creates the services that every sign-in method receives. */
function createServices(
  options: AuthOptions,
  settings: AuthSettings,
  cookie: SessionCookie,
  secondFactor: SecondFactor,
): AuthServices {
  const { store, platform, committer, model, manifest, code } = options;
  const hooks = (): AuthCode["hooks"] => code().hooks;
  const declared = (): ManifestAuth => manifest().auth ?? {};
  const idleMs = (): number => (declared().session?.idleTimeout ?? Infinity) * 1000;
  const sessions = new Sessions(store, platform, options.adminTokens, {
    idleMs,
    maxOfUser: options.maxSessionsPerUser,
  });
  const users = new Users({
    store,
    committer,
    sessions,
    model,
    settings: declared,
    hooks,
    platform,
  });
  const guests = new GuestUpgrade(store, committer, sessions, model);
  const tokens = new OneTimeTokens(store, platform);
  const attempts = new AttemptLimits(store, platform);
  const codes = new OneTimeCodes(store, platform, attempts);
  const audit = new AuditLog(store, platform);
  const passwords = new Passwords(store, users, platform);
  const shared = { store, platform, users, sessions, guests, cookie, tokens, audit, settings };
  return {
    ...shared,
    attempts,
    codes,
    passwords,
    signIn: new SignIn({ ...shared, secondFactor, hooks, now: platform.now }),
    outcomes: new SignInOutcomes(),
    signUps: new PendingSignUps(store, platform, codes, passwords),
    credentials: new Credentials(),
    apiKeys: new ApiKeys(store, sessions, platform),
    mails: mailsOf(options, settings),
  };
}

function mailsOf(options: AuthOptions, { appName, encryption }: AuthSettings): AuthMails {
  const { code, mailer, mailQueue, onError, platform, store } = options;
  return new AuthMails({
    mailer,
    queue: mailQueue,
    platform,
    store,
    encryption,
    appName,
    templates: () => code().mails,
    onError: (error) => onError("mail failed", error),
  });
}

/** Registers each kind of credential. Accounts at OAuth providers register themselves. */
function addCredentials(
  { credentials, users, passwords, apiKeys }: AuthServices,
  {
    totp,
    devices,
    passkeys,
  }: Pick<SecondFactorServices, "totp" | "devices"> & Pick<PasskeyServices, "passkeys">,
): void {
  const hasPassword = async (userId: string, reader?: Reader): Promise<boolean> => {
    const user = users.isDeclared ? await users.get(userId, reader) : null;
    return user !== null && passwords.has(user, reader);
  };
  const hasPasskey = async (userId: string, reader?: Reader): Promise<boolean> =>
    (await passkeys.list(userId, reader)).length > 0;
  credentials.add({
    forget: (userId) => passwords.forget(userId),
    signsIn: hasPassword,
    ways: async (userId) => ({ hasPassword: await hasPassword(userId) }),
  });
  credentials.add({ forget: (userId) => apiKeys.endAll(userId) });
  credentials.add({ forget: (userId) => devices.forget(userId) });
  credentials.add({
    forget: (userId) => totp.forget(userId),
    ways: async (userId) => ({ hasAuthenticator: await totp.isOn(userId) }),
  });
  credentials.add({
    forget: (userId) => passkeys.forget(userId),
    signsIn: hasPasskey,
    ways: async (userId) => ({ hasPasskey: await hasPasskey(userId) }),
  });
}

/** Returns an app's name as it can be used in a cookie's name. */
function cookieSafe(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_-]/g, "_") || "pylon";
}
