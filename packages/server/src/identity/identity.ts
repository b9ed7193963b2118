import type { AuthValues } from "@pylonsync/query";

/** The caller, as policies, functions and the log see it. */
export type Caller = AuthValues;

/** A request without a token and without a session cookie. */
export const ANONYMOUS: Caller = Object.freeze({
  userId: null,
  isAdmin: false,
  isGuest: false,
  tenantId: null,
  roles: [],
  apiKeyId: null,
  apiKeyScopes: [],
  isTrustedDevice: false,
  claims: {},
});

/** The bearer of the admin token: no policy applies. */
export const ADMIN: Caller = Object.freeze({ ...ANONYMOUS, isAdmin: true });

/** The owner of a token. `sessionId` is null for the admin token and for anonymous callers. */
export interface Identity {
  readonly caller: Caller;
  readonly sessionId: string | null;
  /** Milliseconds since 1970; Infinity for an identity that does not expire. */
  readonly expiresAt: number;
  /**
   * Whether the token was issued for other services, any of which may have forwarded it: it gives
   * the access of API keys, but none to the account.
   */
  readonly isForServices?: true;
}

/** Whether both are the same caller with the same session. */
export function isSameIdentity(now: Identity, then: Identity): boolean {
  return (
    now === then ||
    (now.sessionId === then.sessionId && JSON.stringify(now.caller) === JSON.stringify(then.caller))
  );
}

/** Whether an identity is unchanged, has changed, or has ended. */
export type SessionStatus = "valid" | "changed" | "revoked";

/** The identity of ANONYMOUS, which never expires. */
export const ANONYMOUS_IDENTITY: Identity = Object.freeze({
  caller: ANONYMOUS,
  sessionId: null,
  expiresAt: Infinity,
});
