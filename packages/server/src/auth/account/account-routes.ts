import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import type { RequestReader } from "../../request/reading.ts";
import { json, JsonAnswer, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { routeTable } from "../../request/route-table.ts";
import type { AuthServices } from "../auth-services.ts";
import { isFresh, requireFresh, requireOwner } from "../sign-in/fresh-sign-in.ts";
import { AuthInput } from "../security/input.ts";
import type { Organizations } from "../organizations/organizations.ts";
import type { Transaction } from "../../store/store.ts";
import { isRecord } from "../../util/is-record.ts";
import { setUserClaims, userClaims } from "../users/user-claims.ts";
import { ownUser } from "../users/own-user.ts";
import type { UserData } from "./user-data.ts";

const AUDIT_DEFAULT = 100;
const MAX_AUDIT = 1000;

/** The services that the account routes need. */
export interface AccountServices extends AuthServices {
  readonly data: UserData;
  readonly organizations: Organizations;
  /** Reads on behalf of a request's caller. */
  readonly reader: RequestReader;
}

/** The routes to delete an account, to export a user's data and to read its audit log. */
export function accountRoutes(services: AccountServices): Route[] {
  const { get, put, del } = routeTable(services);

  return [
    get("/api/auth/account", "signed-in", show),
    del("/api/auth/account", "signed-in", leave, { body: "small" }),
    get("/api/auth/account/export", "signed-in", exportOwn),
    get("/api/admin/users/:id/export", "admin", exportByAdmin),
    del("/api/admin/users/:id/sessions", "admin", signOutByAdmin),
    del("/api/admin/users/:id", "admin", removeByAdmin),
    get("/api/admin/users/:id/claims", "admin", showClaims),
    put("/api/admin/users/:id/claims", "admin", setClaims),
    get("/api/auth/audit", "signed-in", ownAudit),
  ];
}

/** Returns what a form that re-authenticates the user needs to know. */
async function show(services: AccountServices, context: RequestContext): Promise<Answer> {
  const { credentials, mails } = services;
  const user = await ownUser(services, context);
  const { hasPassword, hasPasskey, hasAuthenticator, providers } = await credentials.ways(user.id);
  return json({
    has_password: hasPassword,
    has_passkey: hasPasskey,
    has_authenticator: hasAuthenticator,
    has_email_code: mails.canSend && typeof user["email"] === "string",
    providers,
    is_fresh: await isFresh(services, context),
  });
}

async function leave(services: AccountServices, context: RequestContext): Promise<Answer> {
  const { organizations, store } = services;
  const { caller } = context;
  const input = await AuthInput.of(context);
  // The session is a guest's only credential.
  if (caller.isGuest && caller.userId !== null) return left(services, context, caller.userId);
  const user = await ownUser(services, context);
  await requireOwner(services, context, input, user);
  // Before the sessions are ended; it is checked again in the transaction that deletes the user.
  await organizations.requireLeavable(store, user.id);
  return left(services, context, user.id);
}

async function left(
  services: AccountServices,
  context: RequestContext,
  userId: string,
): Promise<Answer> {
  const { cookie, organizations } = services;
  await remove(services, context, userId, (tx) => organizations.requireLeavable(tx, userId));
  return new JsonAnswer({ deleted: true }, 200, { "Set-Cookie": [cookie.clear()] });
}

/** @param check runs in the transaction that ends all access; if it throws, the user stays */
async function remove(
  { audit, credentials, data, sessions }: AccountServices,
  context: RequestContext,
  userId: string,
  check?: (tx: Transaction) => Promise<void>,
): Promise<void> {
  await data.requireDeletable(userId);
  await sessions.withLockedAccount(userId, async () => {
    // First: if the check fails, the user must still be able to sign in.
    await data.delete(userId, check);
    await credentials.forgetAll(userId);
  });
  await audit.record(context, "account.deleted", { userId });
}

async function removeByAdmin(services: AccountServices, context: RequestContext): Promise<Answer> {
  const { data, reader } = services;
  const userId = context.param("id");
  if (!(await data.knows(userId, reader(context)))) throw noSuchUser(userId);
  await remove(services, context, userId);
  return json({ deleted: true });
}

/**
 * For users who were banned, or who lost a role that the app grants: it also ends the user's API
 * keys. The app's `onSignIn` decides whether the user can sign in again.
 */
async function signOutByAdmin(
  { apiKeys, audit, sessions }: AccountServices,
  context: RequestContext,
): Promise<Answer> {
  const userId = context.param("id");
  const revoked = await sessions.endAll(userId);
  await apiKeys.endAll(userId);
  await audit.record(context, "sign-out.by-admin", { userId });
  return json({ revoked_count: revoked });
}

async function showClaims({ store }: AccountServices, context: RequestContext): Promise<Answer> {
  return json({ claims: await userClaims(store, context.param("id")) });
}

/** Replaces all claims that were set before. */
async function setClaims(services: AccountServices, context: RequestContext): Promise<Answer> {
  const { audit, platform, store } = services;
  const userId = context.param("id");
  const { raw } = await AuthInput.of(context);
  const given = isRecord(raw) ? raw["claims"] : undefined;
  const claims = await store.transact((tx) => setUserClaims(tx, userId, given, platform.now()));
  await audit.record(context, "claims.changed", { userId });
  return json({ claims });
}

async function exportByAdmin(
  { audit, data, reader }: AccountServices,
  context: RequestContext,
): Promise<Answer> {
  const userId = context.param("id");
  if (!(await data.knows(userId, reader(context)))) throw noSuchUser(userId);
  await audit.record(context, "account.exported", { userId });
  return json(await data.export(userId, context.caller, reader(context)));
}

async function exportOwn(services: AccountServices, context: RequestContext): Promise<Answer> {
  const { audit, data, reader } = services;
  const { caller } = context;
  const isGuest = caller.isGuest && caller.userId !== null;
  const userId = isGuest ? caller.userId : (await ownUser(services, context)).id;
  if (!isGuest) await requireFresh(services, context);
  await audit.record(context, "account.exported", { userId });
  return json(await data.export(userId, caller, reader(context)));
}

async function ownAudit({ audit }: AccountServices, context: RequestContext): Promise<Answer> {
  const limit = Math.min(
    Math.max(Math.trunc(Number(context.query("limit") ?? AUDIT_DEFAULT)) || AUDIT_DEFAULT, 1),
    MAX_AUDIT,
  );
  const { userId, isAdmin } = context.caller;
  if (userId === null && !isAdmin) throw new PylonError("AUTH_REQUIRED", "You are not signed in.");
  return json(await audit.list(userId === null ? "all" : { userId }, limit));
}

function noSuchUser(userId: string): PylonError {
  return new PylonError("NOT_FOUND", `User "${userId.slice(0, 80)}" does not exist.`, {
    field: "id",
  });
}
