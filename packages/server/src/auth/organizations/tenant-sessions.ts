import type { ApiKeys } from "../api-keys/api-keys.ts";
import type { Transaction } from "../../store/store.ts";
import type { SessionInfo, SessionPatch, Sessions } from "../sessions/sessions.ts";

const PREFIX = "org:";

/**
 * Sets the organization that a session acts in, and the role: `auth.tenantId`, and the role as
 * `org:<role>` in `auth.roles`.
 */
export class TenantSessions {
  readonly #sessions: Sessions;
  readonly #apiKeys: ApiKeys;

  constructor(sessions: Sessions, apiKeys: ApiKeys) {
    this.#sessions = sessions;
    this.#apiKeys = apiKeys;
  }

  /** @param role null, with a tenant of null: no organization */
  async select(
    session: SessionInfo,
    tenantId: string | null,
    role: string | null,
  ): Promise<readonly string[]> {
    const roles = rolesWith(session, role);
    await this.#sessions.update(session.id, { tenantId, roles });
    return roles;
  }

  /**
   * Called after a membership has changed: a session that acts in the tenant gets the new role, or
   * leaves the tenant.
   */
  async changed(userId: string, tenantId: string, role: string | null): Promise<void> {
    await this.#sessions.updateAll(userId, inTenant(tenantId, role));
    await this.#apiKeys.endAll(userId, tenantId);
  }

  /** Ends a membership within this transaction. */
  async leave(tx: Transaction, userId: string, tenantId: string): Promise<void> {
    await this.#sessions.updateAllIn(tx, userId, inTenant(tenantId, null));
    await this.#apiKeys.revokeAll(tx, userId, tenantId);
  }
}

/** Returns the change of a session of this tenant. @param role null: it leaves the tenant */
function inTenant(tenantId: string, role: string | null) {
  return (session: SessionInfo): SessionPatch | null =>
    session.tenantId === tenantId
      ? { tenantId: role === null ? null : tenantId, roles: rolesWith(session, role) }
      : null;
}

function rolesWith({ roles }: SessionInfo, role: string | null): string[] {
  return [
    ...roles.filter((name) => !name.startsWith(PREFIX)),
    ...(role === null ? [] : [PREFIX + role]),
  ];
}
