import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { isScope } from "../../identity/key-scope.ts";
import { json, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { routeTable } from "../../request/route-table.ts";
import type { AuthServices } from "../auth-services.ts";
import { asWords } from "../email-sign-in/auth-mails.ts";
import { requireOwner } from "../sign-in/fresh-sign-in.ts";
import { AuthInput } from "../security/input.ts";
import { ownUser } from "../users/own-user.ts";

const MAX_SCOPES = 50;

/** The routes of a user's API keys. */
export function apiKeyRoutes(services: AuthServices): Route[] {
  const { get, post, del } = routeTable(services);

  return [
    post("/api/auth/api-keys", "signed-in", create),
    get("/api/auth/api-keys", "signed-in", list),
    del("/api/auth/api-keys/:id", "signed-in", remove),
  ];
}

async function create(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { apiKeys, audit, mails, platform } = services;
  const user = await ownUser(services, context);
  const input = await AuthInput.of(context);
  const name = input.text("name", 200);
  const scopes = input.optionalTexts("scopes", MAX_SCOPES) ?? [];
  const unknown = scopes.findIndex((scope) => !isScope(scope));
  if (unknown !== -1)
    throw new PylonError(
      "INVALID_DATA",
      `"${(scopes[unknown] ?? "").slice(0, 80)}" is not a valid scope.`,
      {
        field: `scopes[${unknown}]`,
        hint:
          'Use "read", "write", "functions", "files", "functions:NAME", "entities:NAME:read" ' +
          'or "entities:NAME:write".',
      },
    );
  const expiresAt = input.optionalTime("expires");
  if (expiresAt !== null && expiresAt <= platform.now())
    throw new PylonError("INVALID_DATA", "The expiry time is in the past.", {
      field: "expires",
    });
  await requireOwner(services, context, input, user);
  const { sessionId } = context.identity;
  if (sessionId === null)
    throw new PylonError("AUTH_REQUIRED", "API keys can only be created with a session token.", {
      hint: "Sign in.",
    });
  const { key, info } = await apiKeys.create(sessionId, { name, scopes, expiresAt });
  await audit.record(context, "api-key.created", { detail: { id: info.id, name } });
  if (typeof user["email"] === "string")
    await mails.notify(
      user["email"],
      `An API key named "${asWords(name)}" was created for your account. ` +
        `It is valid until it is deleted${expiresAt === null ? "" : " or expires"}.`,
    );
  return json({ ...info, key }, 201);
}

async function list(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { apiKeys } = services;
  return json(await apiKeys.list((await ownUser(services, context)).id));
}

async function remove(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { apiKeys, audit } = services;
  const user = await ownUser(services, context);
  const id = context.param("id");
  if (!(await apiKeys.end(user.id, id)))
    throw new PylonError("NOT_FOUND", "You have no API key with this id.", {
      hint: "GET /api/auth/api-keys lists your keys.",
    });
  await audit.record(context, "api-key.deleted", { detail: { id } });
  return json({ revoked: true });
}
