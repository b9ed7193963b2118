import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { isScope } from "../../request/key-scope.ts";
import { json, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import type { AuthServices } from "../auth-services.ts";
import { AuthInput } from "../input.ts";
import { ownUser } from "../password-routes.ts";
import type { ApiKeys } from "./api-keys.ts";

const MAX_KEYS = 100;
const MAX_SCOPES = 50;

/** A user's keys for programs. */
export function apiKeyRoutes(services: AuthServices, keys: ApiKeys): Route[] {
  const { audit, platform } = services;

  const create = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    const input = await AuthInput.of(context);
    const name = input.text("name", 200);
    const scopes = input.optionalTexts("scopes", MAX_SCOPES) ?? [];
    const unknown = scopes.findIndex((scope) => !isScope(scope));
    if (unknown !== -1) throw new PylonError("INVALID_DATA", `"${(scopes[unknown] ?? "").slice(0, 80)}" is no scope.`, { field: `scopes[${unknown}]`, hint: 'Use "read", "write", "functions", "files", "functions:NAME", "entities:NAME:read" or "entities:NAME:write".' });
    const expiresAt = input.optionalTime("expires");
    if (expiresAt !== null && expiresAt <= platform.now()) throw new PylonError("INVALID_DATA", "This key would be expired already.", { field: "expires" });
    if ((await keys.list(user.id)).length >= MAX_KEYS) throw new PylonError("CONFLICT", `You have ${MAX_KEYS} keys.`, { hint: "Delete some." });
    const { key, info } = await keys.create({ ...context.caller, userId: user.id }, { name, scopes, expiresAt });
    await audit.record(context, "api-key.created", { detail: { id: info.id, name } });
    return json({ ...info, key }, 201);
  };

  const list = async (context: RequestContext): Promise<Answer> => json(await keys.list((await ownUser(services, context)).id));

  const remove = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    const id = context.param("id");
    if (!(await keys.end(user.id, id))) throw new PylonError("NOT_FOUND", "You have no such key.", { hint: "GET /api/auth/api-keys lists them." });
    await audit.record(context, "api-key.deleted", { detail: { id } });
    return json({ revoked: true });
  };

  return [
    { method: "POST", path: "/api/auth/api-keys", access: "signed-in", handle: create },
    { method: "GET", path: "/api/auth/api-keys", access: "signed-in", handle: list },
    { method: "DELETE", path: "/api/auth/api-keys/:id", access: "signed-in", handle: remove },
  ];
}
