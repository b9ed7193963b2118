import type { AuthContext } from "@pylonsync/protocol";
import type { Caller } from "../../identity/identity.ts";

/**
 * Returns the caller as in the response of `/api/auth/me`: flags that are false and values that are
 * absent are omitted.
 */
export function toAuthContext(caller: Caller): AuthContext {
  return {
    user_id: caller.userId,
    is_admin: caller.isAdmin,
    roles: [...caller.roles],
    ...(caller.isGuest ? { is_guest: true } : {}),
    ...(caller.tenantId === null ? {} : { tenant_id: caller.tenantId }),
    ...(caller.apiKeyId === null
      ? {}
      : { api_key_id: caller.apiKeyId, api_key_scopes: [...caller.apiKeyScopes] }),
    ...(Object.keys(caller.claims).length > 0 ? { claims: caller.claims } : {}),
    ...(caller.isTrustedDevice ? { is_trusted_device: true } : {}),
  };
}
