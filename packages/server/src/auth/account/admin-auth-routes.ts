import type { RequestContext } from "../../request/context.ts";
import { listLimit } from "../../request/list-limit.ts";
import { json, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { routeTable } from "../../request/route-table.ts";
import type { Store } from "../../store/store.ts";
import { isoTime, isoTimeOrNull } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";

const { accounts: ACCOUNTS, sessions: SESSIONS } = SYSTEM_TABLES;

interface AdminAuthServices {
  readonly store: Store;
}

/**
 * Lists the sessions and provider accounts of all users for an admin, the newest first, without
 * tokens and without anything that tokens could be derived from.
 */
export function adminAuthRoutes({ store }: AdminAuthServices): Route[] {
  const { get } = routeTable<AdminAuthServices>({ store });
  return [
    get("/api/admin/auth/sessions", "admin", listSessions),
    get("/api/admin/auth/accounts", "admin", listAccounts),
  ];
}

async function listSessions(
  { store }: AdminAuthServices,
  context: RequestContext,
): Promise<Answer> {
  const userId = context.query("user_id");
  const rows = await SESSIONS.select(store, {
    where: userId === null ? undefined : SESSIONS.is("userId", userId),
    order: [{ field: "createdAt", direction: "desc" }],
    limit: listLimit(context),
  });
  return json(
    rows.map((row) => ({
      id: row.publicId,
      user_id: row.userId,
      is_guest: row.isGuest,
      tenant_id: row.tenantId,
      device: row.device,
      created_at: isoTime(row.createdAt),
      seen_at: isoTimeOrNull(row.seenAt),
      expires_at: isoTime(row.expiresAt),
    })),
  );
}

async function listAccounts(
  { store }: AdminAuthServices,
  context: RequestContext,
): Promise<Answer> {
  const userId = context.query("user_id");
  const rows = await ACCOUNTS.select(store, {
    where: userId === null ? undefined : ACCOUNTS.is("userId", userId),
    order: [{ field: "createdAt", direction: "desc" }],
    limit: listLimit(context),
  });
  return json(
    rows.map(({ id, provider, userId: owner, email, createdAt }) => ({
      id,
      provider,
      user_id: owner,
      email,
      created_at: isoTime(createdAt),
    })),
  );
}
