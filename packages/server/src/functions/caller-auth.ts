import type { Caller } from "../identity/identity.ts";

/** The parts of a caller that handlers see as `ctx.auth`. */
export type CallerAuth = Pick<
  Caller,
  "userId" | "isAdmin" | "isGuest" | "tenantId" | "roles" | "claims"
>;

/**
 * The caller as `ctx.auth`. All calls of a session share its roles and claims, so they are frozen:
 * a handler that changed them would change the rights of later calls.
 */
export function callerAuth(caller: Caller): CallerAuth {
  const { userId, isAdmin, isGuest, tenantId, roles, claims } = caller;
  if (!Object.isFrozen(claims)) for (const value of Object.values(claims)) Object.freeze(value);
  return {
    userId,
    isAdmin,
    isGuest,
    tenantId,
    roles: Object.freeze(roles),
    claims: Object.freeze(claims),
  };
}
