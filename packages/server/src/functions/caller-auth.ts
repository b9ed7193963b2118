import type { Caller } from "../identity/identity.ts";

/** The parts of a caller that handlers see as `ctx.auth`. */
export type CallerAuth = Pick<
  Caller,
  "userId" | "isAdmin" | "isGuest" | "tenantId" | "roles" | "claims"
>;

/** Callers whose roles and claims are frozen. Freezing them again costs more than this lookup. */
const frozen = new WeakSet<Caller>();

/**
 * Returns the caller as `ctx.auth`. All calls of a session share its roles and claims, so they are
 * frozen: a handler that changed them would change the permissions of later calls.
 */
export function callerAuth(caller: Caller): CallerAuth {
  const { userId, isAdmin, isGuest, tenantId, roles, claims } = caller;
  if (!frozen.has(caller)) {
    for (const value of Object.values(claims)) Object.freeze(value);
    Object.freeze(claims);
    Object.freeze(roles);
    frozen.add(caller);
  }
  return { userId, isAdmin, isGuest, tenantId, roles, claims };
}
