import { PylonError } from "@pylonsync/protocol";
import type { Identity } from "../../identity/identity.ts";
import type { Platform } from "../../platform.ts";
import type { TokenKind } from "../sessions/authenticator.ts";
import type { Sessions } from "../sessions/sessions.ts";

const LIFETIME_S = 15 * 60;
const ALGORITHM = "HS256";

/**
 * Short-lived tokens that other services can read with the shared secret. On this server they act
 * as the session that they were created from, and end with it, but can't change the account or the
 * session. The library is loaded when the first token is created or read.
 */
export class Jwts implements TokenKind {
  readonly #secret: Uint8Array | null;
  readonly #sessions: Sessions;
  readonly #appName: () => string;
  readonly #platform: Platform;

  /** @param secret null: JWTs are off */
  constructor(
    secret: string | null,
    sessions: Sessions,
    appName: () => string,
    platform: Platform,
  ) {
    this.#secret = secret === null ? null : new TextEncoder().encode(secret);
    this.#sessions = sessions;
    this.#appName = appName;
    this.#platform = platform;
  }

  /** Whether it has three parts, the first of which is a JSON object. */
  matches(token: string): boolean {
    return this.#secret !== null && token.startsWith("eyJ") && token.split(".").length === 3;
  }

  /**
   * @returns the token, and when it expires, in milliseconds since 1970
   * @throws PylonError JWT_NOT_CONFIGURED, AUTH_REQUIRED without a session
   */
  async issue({
    caller,
    sessionId,
    expiresAt: sessionEnds,
  }: Identity): Promise<{ readonly token: string; readonly expiresAt: number }> {
    if (this.#secret === null)
      throw new PylonError("JWT_NOT_CONFIGURED", "JWTs are not configured on this server.", {
        hint: "Set PYLON_JWT_SECRET.",
      });
    if (sessionId === null || caller.userId === null)
      throw new PylonError("AUTH_REQUIRED", "A JWT can only be created with a session token.", {
        hint: "Sign in.",
      });
    const { SignJWT } = await import("jose");
    const now = Math.floor(this.#platform.now() / 1000);
    const expires = Math.min(now + LIFETIME_S, Math.floor(sessionEnds / 1000));
    const token = await new SignJWT({
      sid: sessionId,
      roles: [...caller.roles],
      ...(Object.keys(caller.claims).length === 0 ? {} : { claims: caller.claims }),
      ...(caller.tenantId === null ? {} : { tenant_id: caller.tenantId }),
    })
      .setProtectedHeader({ alg: ALGORITHM, typ: "JWT" })
      .setSubject(caller.userId)
      .setAudience(this.#appName())
      .setIssuedAt(now)
      .setExpirationTime(expires)
      .sign(this.#secret);
    return { token, expiresAt: expires * 1000 };
  }

  /** @throws PylonError UNAUTHORIZED */
  async identify(token: string): Promise<Identity> {
    const refused = (): PylonError =>
      new PylonError("UNAUTHORIZED", "This token is unknown, expired or revoked.", {
        hint: "Create a new token.",
      });
    if (this.#secret === null) throw refused();
    const { errors, jwtVerify } = await import("jose");
    try {
      const { payload } = await jwtVerify(token, this.#secret, {
        algorithms: [ALGORITHM],
        audience: this.#appName(),
        currentDate: new Date(this.#platform.now()),
        requiredClaims: ["exp", "sub"],
      });
      const identity = await this.#sessions.identifyById(String(payload["sid"]));
      if (identity === null || identity.caller.userId !== payload.sub) throw refused();
      return {
        ...identity,
        isForServices: true,
        expiresAt: Math.min(identity.expiresAt, (payload.exp ?? 0) * 1000),
      };
    } catch (error) {
      if (error instanceof errors.JOSEError) throw refused();
      throw error;
    }
  }
}
