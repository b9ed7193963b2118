import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { json, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { routeTable } from "../../request/route-table.ts";
import { isoTime } from "../../store/system-table.ts";
import { keepsSignIn } from "../sign-in/keep-sign-in.ts";
import { ownUser } from "../users/own-user.ts";
import type { OAuthServices } from "./oauth.ts";

/** The routes of the provider accounts that a user signs in with. */
export function accountRoutes(services: OAuthServices): Route[] {
  const { get, post, del } = routeTable(services);
  return [
    get("/api/auth/accounts", "signed-in", list),
    del("/api/auth/accounts/:id", "signed-in", unlink),
    post("/api/auth/oauth/refresh/:provider", "signed-in", refresh),
  ];
}

async function list(services: OAuthServices, context: RequestContext): Promise<Answer> {
  const user = await ownUser(services, context);
  return json(
    (await services.oauth.accounts.list(user.id)).map(({ id, provider, email, createdAt }) => ({
      id,
      provider,
      email,
      created_at: isoTime(createdAt),
    })),
  );
}

async function unlink(services: OAuthServices, context: RequestContext): Promise<Answer> {
  const { audit, oauth } = services;
  const user = await ownUser(services, context);
  const id = context.param("id");
  const own = await oauth.accounts.list(user.id);
  const account = own.find((candidate) => candidate.id === id);
  if (account === undefined)
    throw new PylonError("ACCOUNT_NOT_FOUND", "This user has no such OAuth account.", {
      field: "id",
      hint: "GET /api/auth/accounts lists the linked accounts.",
    });
  await oauth.accounts.unlink(id, keepsSignIn(services, user));
  await audit.record(context, "account.unlinked", {
    userId: user.id,
    detail: { provider: account.provider },
  });
  return json({ unlinked: true });
}

async function refresh(services: OAuthServices, context: RequestContext): Promise<Answer> {
  const { oauth } = services;
  const user = await ownUser(services, context);
  const expiresAt = await oauth.refresh(user.id, context.param("provider"));
  return json({
    refreshed: true,
    expires_at: expiresAt === null ? null : Math.floor(expiresAt / 1000),
  });
}
