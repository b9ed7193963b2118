import { MAX_MCP_GRANTS, PylonError } from "@pylonsync/protocol";
import type { Identity } from "../../identity/identity.ts";
import type { Platform } from "../../platform.ts";
import type { RouteTokens } from "../../request/route.ts";
import type { Store, Transaction } from "../../store/store.ts";
import { isoTime, isoTimeOrNull, transactById, type RowOf } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import type { OneTimeTokens } from "../security/one-time-tokens.ts";
import { tokenPurpose } from "../security/one-time-tokens.ts";
import { hashOf, isSameHash, keyOf, newToken } from "../security/secrets.ts";
import type { TrustedOrigins } from "../security/trusted-origins.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { McpClients } from "./clients.ts";
import { checkResource, matchesChallenge, OAuthError } from "./protocol.ts";

const GRANTS = SYSTEM_TABLES.mcpGrants;
const ACCESS = "mcp";
const REFRESH = "mcr";
const CODE_MS = 60_000;
const ACCESS_SECONDS = 60 * 60;
/** The time until a grant expires after its last refresh, in milliseconds. */
const IDLE_MS = 30 * 24 * 60 * 60_000;
/** The minimum time between two updates of a grant's last use, in milliseconds. */
const USED_EVERY_MS = 60_000;
const SECRET_LENGTH = 43;

type Grant = RowOf<typeof GRANTS>;

/** What a user agreed to. */
export interface Consent {
  readonly userId: string;
  /** The id of the session in which the user agreed. */
  readonly sessionId: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly challenge: string;
  readonly scopes: readonly string[];
  readonly resource: string;
}

const CODE = tokenPurpose<Consent>("mcp code");

/** What a client sends to exchange a code. */
export interface CodeExchange {
  readonly code: string;
  readonly clientId: string;
  readonly verifier: string;
  readonly redirectUri: string | null;
  readonly resource: string | null;
}

/** The response of the token endpoint (RFC 6749, section 5.1). */
export interface TokenSet {
  readonly access_token: string;
  readonly token_type: "Bearer";
  /** The lifetime of the access token, in seconds. */
  readonly expires_in: number;
  readonly refresh_token: string;
  readonly scope: string;
}

/** A grant as its user sees it. */
export interface GrantInfo {
  readonly id: string;
  readonly client: string;
  readonly scopes: readonly string[];
  readonly created_at: string;
  readonly used_at: string | null;
  readonly expires_at: string;
}

/** The parts of the server that grants depend on. */
export interface GrantServices {
  readonly store: Store;
  readonly platform: Platform;
  readonly sessions: Sessions;
  readonly tokens: OneTimeTokens;
  readonly clients: McpClients;
  readonly origins: TrustedOrigins;
}

/**
 * The access to `/mcp` that users give to clients. Tokens are stored as hashes. They contain the id
 * of the grant, and have the rights of the session in which the user agreed, within the scopes.
 */
export class McpGrants implements RouteTokens {
  readonly #services: GrantServices;

  constructor(services: GrantServices) {
    this.#services = services;
  }

  /** The URL that tokens are issued for. @throws PylonError PUBLIC_URL_NOT_CONFIGURED */
  resourceOf(request: Request): string {
    return `${this.issuerOf(request)}/mcp`;
  }

  /**
   * The URL of this server, which never depends on a header outside of dev mode.
   *
   * @throws PylonError PUBLIC_URL_NOT_CONFIGURED
   */
  issuerOf(request: Request): string {
    return this.#services.origins.mailedUrl(request);
  }

  matches(token: string): boolean {
    return token.startsWith(`${ACCESS}.`);
  }

  /** @throws PylonError UNAUTHORIZED */
  async identify(request: Request, token: string): Promise<Identity> {
    const { store, sessions, platform } = this.#services;
    const now = platform.now();
    const { id, secret } = partsOf(token);
    const grant = id === "" ? null : await GRANTS.get(store, id);
    const isValid =
      grant !== null &&
      isSameHash(grant.accessHash, hashOf(secret)) &&
      Math.min(grant.accessExpiresAt, grant.expiresAt) > now &&
      grant.resource === this.resourceOf(request);
    const session = isValid
      ? await sessions.identifyByPublicId(grant.userId, grant.sessionPublicId)
      : null;
    if (grant === null || session === null)
      throw new PylonError("UNAUTHORIZED", "This access token is unknown, expired or revoked.", {
        hint: "Refresh it, or ask the user for access again.",
      });
    if (grant.usedAt === null || now - grant.usedAt >= USED_EVERY_MS)
      await transactById(store, (tx) => GRANTS.update(tx, id, { usedAt: now }));
    return {
      caller: { ...session.caller, apiKeyId: id, apiKeyScopes: grant.scopes },
      sessionId: null,
      expiresAt: Math.min(grant.accessExpiresAt, session.expiresAt),
    };
  }

  /** @returns a code that can be exchanged once, within a minute */
  issueCode(consent: Consent): Promise<string> {
    return this.#services.tokens.issue(CODE, consent, CODE_MS);
  }

  /**
   * Exchanges a code for tokens. A code that is used a second time counts as stolen: the tokens
   * that it was exchanged for are revoked.
   *
   * @throws OAuthError invalid_grant, invalid_target
   */
  async exchange(given: CodeExchange): Promise<TokenSet> {
    const { store, tokens } = this.#services;
    const grantId = keyOf("mcp grant", given.code);
    const consent = await tokens.take(CODE, given.code);
    if (consent === null) {
      await transactById(store, (tx) => GRANTS.delete(tx, grantId));
      throw invalid("This code is unknown, expired or used.");
    }
    if (consent.clientId !== given.clientId)
      throw invalid("This code was issued to another client.");
    if (given.redirectUri !== null && given.redirectUri !== consent.redirectUri)
      throw invalid("redirect_uri is not the one of the authorization request.");
    if (!matchesChallenge(given.verifier, consent.challenge))
      throw invalid("code_verifier does not match the code_challenge.");
    checkResource(given.resource, consent.resource);
    return store.transact((tx) => this.#create(tx, grantId, consent));
  }

  /**
   * Exchanges a refresh token for new tokens. A refresh token that is used a second time counts as
   * stolen: the grant is deleted.
   *
   * @throws OAuthError invalid_grant, invalid_target
   */
  async refresh(token: string, clientId: string, resource: string | null): Promise<TokenSet> {
    const { store, sessions, platform } = this.#services;
    const { kind, id, family, secret } = refreshPartsOf(token);
    const grant = kind === REFRESH ? await GRANTS.get(store, id) : null;
    if (grant?.clientId !== clientId || !isSameHash(grant.familyHash, hashOf(family)))
      throw invalid("This refresh token is unknown or revoked.");
    checkResource(resource, grant.resource);
    const session = await sessions.identifyByPublicId(grant.userId, grant.sessionPublicId);
    const next = { access: newToken(platform), refresh: newToken(platform) };
    const refreshed = await transactById(store, async (tx) => {
      const now = await GRANTS.get(tx, id);
      const isCurrent =
        now !== null &&
        session !== null &&
        now.expiresAt > platform.now() &&
        isSameHash(now.refreshHash, hashOf(secret));
      if (!isCurrent || !(await this.#services.clients.used(tx, clientId))) {
        await GRANTS.delete(tx, id);
        return null;
      }
      await GRANTS.update(tx, id, {
        accessHash: hashOf(next.access),
        refreshHash: hashOf(next.refresh),
        ...this.#expiry(),
      });
      return now;
    });
    if (refreshed === null)
      throw invalid("This refresh token was used before, or the user's session has ended.");
    return tokenSet(refreshed, next.access, family + next.refresh);
  }

  /**
   * Ends the grant of an access token or a refresh token (RFC 7009).
   *
   * @param clientId the id of the requesting client; it can't revoke the tokens of other clients
   */
  async revoke(token: string, clientId: string): Promise<void> {
    const { store } = this.#services;
    const { id, secret } = partsOf(token);
    const { kind, family } = refreshPartsOf(token);
    await transactById(store, async (tx) => {
      const grant = id === "" ? null : await GRANTS.get(tx, id);
      if (grant?.clientId !== clientId) return;
      const isOwn =
        kind === REFRESH
          ? isSameHash(grant.familyHash, hashOf(family))
          : isSameHash(grant.accessHash, hashOf(secret));
      if (isOwn) await GRANTS.delete(tx, id);
    });
  }

  /** Returns the user's grants, the newest first. */
  async list(userId: string): Promise<GrantInfo[]> {
    const { store, platform } = this.#services;
    const now = platform.now();
    return (await grantsOf(store, userId)).filter(({ expiresAt }) => expiresAt > now).map(toInfo);
  }

  /** Ends a grant of this user. @returns whether it existed */
  end(userId: string, grantId: string): Promise<boolean> {
    return transactById(this.#services.store, async (tx) => {
      if ((await GRANTS.get(tx, grantId))?.userId !== userId) return false;
      return GRANTS.delete(tx, grantId);
    });
  }

  /** Deletes grants that have expired. @returns the number of deleted grants */
  forgetExpired(): Promise<number> {
    const { store, platform } = this.#services;
    return store.transact((tx) =>
      GRANTS.deleteWhere(tx, GRANTS.isUpTo("expiresAt", platform.now())),
    );
  }

  async #create(tx: Transaction, id: string, consent: Consent): Promise<TokenSet> {
    const { platform, sessions, clients } = this.#services;
    const { clientId, scopes, resource } = consent;
    const { userId, publicId } = await sessions
      .requireActive(tx, consent.sessionId)
      .catch((error: unknown) => {
        if (error instanceof PylonError && error.code === "UNAUTHORIZED")
          throw invalid("The session in which the user agreed has ended.");
        throw error;
      });
    const client = await clients.get(clientId, tx);
    await clients.used(tx, clientId);
    for (const { id: old } of (await grantsOf(tx, userId)).slice(MAX_MCP_GRANTS - 1))
      await GRANTS.delete(tx, old);
    const [access, family, refresh] = [newToken(platform), newToken(platform), newToken(platform)];
    const grant: Grant = {
      id,
      userId,
      sessionPublicId: publicId,
      clientId,
      clientName: client.name,
      scopes,
      resource,
      accessHash: hashOf(access),
      familyHash: hashOf(family),
      refreshHash: hashOf(refresh),
      createdAt: platform.now(),
      usedAt: null,
      ...this.#expiry(),
    };
    await GRANTS.insert(tx, grant);
    return tokenSet(grant, access, family + refresh);
  }

  #expiry(): Pick<Grant, "accessExpiresAt" | "expiresAt"> {
    const now = this.#services.platform.now();
    return { accessExpiresAt: now + ACCESS_SECONDS * 1000, expiresAt: now + IDLE_MS };
  }
}

function grantsOf(reader: Store | Transaction, userId: string): Promise<Grant[]> {
  return GRANTS.select(reader, {
    where: GRANTS.is("userId", userId),
    order: [
      { field: "createdAt", direction: "desc" },
      { field: "id", direction: "desc" },
    ],
  });
}

function tokenSet({ id, scopes }: Grant, access: string, refresh: string): TokenSet {
  return {
    access_token: `${ACCESS}.${id}.${access}`,
    token_type: "Bearer",
    expires_in: ACCESS_SECONDS,
    refresh_token: `${REFRESH}.${id}.${refresh}`,
    scope: scopes.join(" "),
  };
}

function partsOf(token: string): Readonly<Record<"kind" | "id" | "secret", string>> {
  const [kind = "", id = "", secret = ""] = token.split(".");
  return { kind, id, secret };
}

/**
 * All refresh tokens of a grant share the first secret, and each has a different second one. This
 * distinguishes a used token from a guess, without a list of used tokens.
 */
function refreshPartsOf(token: string) {
  const { kind, id, secret } = partsOf(token);
  return {
    kind,
    id,
    family: secret.slice(0, SECRET_LENGTH),
    secret: secret.slice(SECRET_LENGTH),
  };
}

function toInfo(grant: Grant): GrantInfo {
  return {
    id: grant.id,
    client: grant.clientName,
    scopes: grant.scopes,
    created_at: isoTime(grant.createdAt),
    used_at: isoTimeOrNull(grant.usedAt),
    expires_at: isoTime(grant.expiresAt),
  };
}

function invalid(message: string): OAuthError {
  return new OAuthError("invalid_grant", message);
}
