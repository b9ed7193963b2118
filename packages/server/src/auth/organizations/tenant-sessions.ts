import type { ApiKeys } from "../api-keys/api-keys.ts";
import type { SessionInfo, Sessions } from "../sessions/sessions.ts";

const PREFIX = "org:";

/**
 * Which organization a session acts in, and as what: `auth.tenantId`, and the role as `org:<role>`
 * among `auth.roles`.
 */
export class TenantSessions {
  readonly #sessions: Sessions;
  readonly #apiKeys: ApiKeys;

  constructor(sessions: Sessions, apiKeys: ApiKeys) {
    this.#sessions = sessions;
    this.#apiKeys = apiKeys;
  }

  /** @param role null, with a tenant of null: in none */
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
   * A membership has changed: whoever acts by it acts by the new role, or no longer in this tenant.
   */
  async changed(userId: string, tenantId: string, role: string | null): Promise<void> {
    await this.#sessions.updateAll(userId, (session) =>
      session.tenantId === tenantId
        ? { tenantId: role === null ? null : tenantId, roles: rolesWith(session, role) }
        : null,
    );
    await this.#apiKeys.endAll(userId, tenantId);
  }
}

function rolesWith({ roles }: SessionInfo, role: string | null): string[] {
  return [
    ...roles.filter((name) => !name.startsWith(PREFIX)),
    ...(role === null ? [] : [PREFIX + role]),
  ];
}
