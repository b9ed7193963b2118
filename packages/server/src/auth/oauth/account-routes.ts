import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { json, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import type { AuthServices } from "../auth-services.ts";
import { ownUser } from "../passwords/password-routes.ts";
import type { OAuthSignIn } from "./oauth.ts";

/** The accounts elsewhere that a user signs in with. */
export function accountRoutes(services: AuthServices, oauth: OAuthSignIn): Route[] {
  const { credentials, audit, mails } = services;
  const { accounts } = oauth;
  const signsIn = async (userId: string): Promise<boolean> =>
    (await accounts.list(userId)).some(({ provider }) => oauth.names.includes(provider));
  credentials.add(
    (userId) => accounts.unlinkAll(userId),
    signsIn,
    async (userId) => ({
      providers: (await accounts.list(userId))
        .map(({ provider }) => provider)
        .filter((provider) => oauth.names.includes(provider)),
    }),
  );

  const list = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    return json(
      (await accounts.list(user.id)).map(({ id, provider, email, createdAt }) => ({
        id,
        provider,
        email,
        created_at: createdAt,
      })),
    );
  };

  const unlink = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    const id = context.param("id");
    const own = await accounts.list(user.id);
    const account = own.find((candidate) => candidate.id === id);
    if (account === undefined)
      throw new PylonError("ACCOUNT_NOT_FOUND", "This user has no such account.", {
        field: "id",
        hint: "GET /api/auth/accounts lists them.",
      });
    // Whoever reads the mail of the address can always get a code.
    const hasOtherWay =
      (mails.canSend && typeof user["email"] === "string") ||
      (await credentials.signIn(user.id, signsIn));
    await accounts.unlink(id, user.id, hasOtherWay ? null : oauth.names);
    await audit.record(context, "account.unlinked", {
      userId: user.id,
      detail: { provider: account.provider },
    });
    return json({ unlinked: true });
  };

  const refresh = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    const expiresAt = await oauth.refresh(user.id, context.param("provider"));
    return json({
      refreshed: true,
      expires_at: expiresAt === null ? null : Math.floor(expiresAt / 1000),
    });
  };

  return [
    { method: "GET", path: "/api/auth/accounts", access: "signed-in", handle: list },
    { method: "DELETE", path: "/api/auth/accounts/:id", access: "signed-in", handle: unlink },
    {
      method: "POST",
      path: "/api/auth/oauth/refresh/:provider",
      body: "small",
      access: "signed-in",
      handle: refresh,
    },
  ];
}
