import type { AuthValues } from "@pylonsync/query";

/** Who asks, as policies, functions and the log see it. */
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

/** Who a token belongs to. `sessionId` is null for the admin token and for anonymous callers. */
export interface Identity {
  readonly caller: Caller;
  readonly sessionId: string | null;
  /** Milliseconds since 1970; Infinity for an identity that does not expire. */
  readonly expiresAt: number;
  /**
   * By a token that was made for other services, which any of them may have passed on: it opens
   * what API keys open, and no account.
   */
  readonly isForServices?: true;
}

/** Whether both are the same caller by the same session. */
export function isSameIdentity(now: Identity, then: Identity): boolean {
  return (
    now === then ||
    (now.sessionId === then.sessionId && JSON.stringify(now.caller) === JSON.stringify(then.caller))
  );
}

/** Whether an identity still is what it was, stands for something else, or for nobody. */
export type SessionStatus = "valid" | "changed" | "revoked";

/** The identity of ANONYMOUS, which never expires. */
export const ANONYMOUS_IDENTITY: Identity = Object.freeze({
  caller: ANONYMOUS,
  sessionId: null,
  expiresAt: Infinity,
});
