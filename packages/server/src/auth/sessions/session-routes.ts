import { PylonError } from "@pylonsync/protocol";
import { bearerToken } from "../../request/bearer.ts";
import type { RequestContext } from "../../request/context.ts";
import { json, JsonAnswer, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { routeTable } from "../../request/route-table.ts";
import { isoTime } from "../../store/system-table.ts";
import { deviceOf } from "../security/audit.ts";
import type { AuthServices } from "../auth-services.ts";
import { AuthInput } from "../security/input.ts";
import { signedInAnswer } from "./signed-in.ts";
import type { SessionInfo } from "./sessions.ts";
import { toAuthContext } from "./auth-context.ts";

const MAX_USER_ID = 256;

/** Routes for the caller's identity, guests, devices, signing out, and the admin's sessions. */
export function sessionRoutes(services: AuthServices): Route[] {
  const { get, post, del } = routeTable(services);
  return [
    get("/api/auth/me", "anyone", whoAmI, { scope: "open", ignoresInvalidTokens: true }),
    get("/api/auth/session", "anyone", session),
    post("/api/auth/session", "admin-or-dev", createSession),
    del("/api/auth/session", "anyone", signOut),
    get("/api/auth/sessions", "signed-in", listSessions),
    del("/api/auth/sessions", "signed-in", endSessions),
    del("/api/auth/sessions/:id", "signed-in", endDevice),
    post("/api/auth/refresh", "anyone", refresh),
    post("/api/auth/guest", "anyone", signInGuest),
    post("/api/auth/anonymous", "anyone", signInGuest),
    post("/api/auth/upgrade", "admin-or-dev", upgrade),
  ];
}

/** An ended token is reported in the response and not rejected, so that a page can clean up. */
function whoAmI(_services: AuthServices, { caller, request }: RequestContext): Answer {
  const isDead = caller.userId === null && !caller.isAdmin && bearerToken(request.headers) !== null;
  return json({ ...toAuthContext(caller), ...(isDead ? { token_valid: false } : {}) });
}

function signedIn(
  { cookie, platform, settings }: AuthServices,
  token: string,
  userId: string,
  status: number,
  extra: Readonly<Record<string, unknown>> = {},
): Answer {
  const lifetimeMs = settings.sessionLifetimeMs();
  const expires_at = Math.floor((platform.now() + lifetimeMs) / 1000);
  return new JsonAnswer({ token, user_id: userId, expires_at, ...extra }, status, {
    "Set-Cookie": [cookie.keep(token, lifetimeMs)],
  });
}

async function session(services: AuthServices, { caller }: RequestContext): Promise<Answer> {
  const { users } = services;
  const user =
    caller.userId === null || caller.isGuest ? null : await userOrNull(services, caller.userId);
  return json({
    session: toAuthContext(caller),
    user: user === null ? null : users.view(user, caller),
  });
}

async function signInGuest(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { sessions, settings } = services;
  const { userId, token } = await sessions.createGuest(
    settings.sessionLifetimeMs(),
    deviceOf(context),
  );
  return signedIn(services, token, userId, 201, { guest: true });
}

async function createSession(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { audit, sessions, settings } = services;
  const userId = (await AuthInput.of(context)).text("user_id", MAX_USER_ID);
  const token = await sessions.create(userId, {
    isGuest: false,
    lifetimeMs: settings.sessionLifetimeMs(),
    device: deviceOf(context),
  });
  await audit.record(context, "sign-in", { userId, detail: { method: "admin" } });
  return signedIn(services, token, userId, 201);
}

async function signOut(
  { audit, cookie, sessions }: AuthServices,
  context: RequestContext,
): Promise<Answer> {
  const { sessionId, caller } = context.identity;
  if (sessionId !== null) {
    await sessions.end(sessionId);
    await audit.record(context, "sign-out", { userId: caller.userId });
  } else if (cookie.read(context.request.headers) === null) {
    throw new PylonError("AUTH_REQUIRED", "There is no session to sign out of.");
  }
  return new JsonAnswer({ revoked: true }, 200, { "Set-Cookie": [cookie.clear()] });
}

async function listSessions(
  { sessions }: AuthServices,
  { identity }: RequestContext,
): Promise<Answer> {
  const { userId } = identity.caller;
  const found = userId === null ? [] : await sessions.list(userId);
  return json(found.map((info) => toWire(info, info.id === identity.sessionId)));
}

/** Ends all of them, including this one; `?others=1` keeps it. */
async function endSessions(
  { audit, cookie, sessions }: AuthServices,
  context: RequestContext,
): Promise<Answer> {
  const { userId } = context.caller;
  if (userId === null) throw new PylonError("AUTH_REQUIRED", "You are not signed in.");
  const keepsThis = context.query("others") === "1";
  const revoked = await sessions.endAll(userId, {
    except: keepsThis ? context.identity.sessionId : null,
  });
  await audit.record(context, "sign-out.everywhere", { userId });
  return new JsonAnswer(
    { revoked_count: revoked },
    200,
    keepsThis ? {} : { "Set-Cookie": [cookie.clear()] },
  );
}

async function endDevice(
  { audit, sessions }: AuthServices,
  context: RequestContext,
): Promise<Answer> {
  const { userId } = context.caller;
  const found = userId === null ? [] : await sessions.list(userId);
  const info = found.find(({ publicId }) => publicId === context.param("id"));
  if (info === undefined)
    throw new PylonError("NOT_FOUND", "You have no session with this id.", {
      hint: "GET /api/auth/sessions lists your sessions.",
    });
  await sessions.end(info.id);
  await audit.record(context, "sign-out.device", { userId });
  return json({ revoked: true });
}

async function refresh(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { audit } = services;
  const { sessionId } = context.identity;
  if (sessionId === null)
    throw new PylonError("AUTH_REQUIRED", "There is no session to refresh.", {
      hint: "Sign in.",
    });
  const renewed = await services.signIn.refresh(sessionId);
  await audit.record(context, "session.refreshed");
  return signedInAnswer(renewed);
}

/**
 * For servers that identify their users by other means: the session of `guest_token`, in dev mode
 * also the caller's own, becomes the session of the named user, with the same token.
 */
async function upgrade(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { audit, guests, sessions, settings, users } = services;
  const input = await AuthInput.of(context);
  const userId = input.text("user_id", MAX_USER_ID);
  const rotates = input.optionalFlag("rotate");
  const guestToken = input.optionalText("guest_token");
  const token = guestToken ?? ownToken(services, context);
  const { caller, sessionId } = await sessions.identify(token);
  if (sessionId === null || caller.userId === null) throw noSessionToUpgrade();
  if (guestToken !== undefined && !caller.isGuest)
    throw new PylonError("INVALID_DATA", "Only a guest can be upgraded.", {
      field: "guest_token",
      hint: "Send the guest's token.",
    });
  // Only a guest can turn out to be somebody else: a user's data is never handed over.
  if (caller.isGuest && caller.userId !== userId)
    await guests.transferRows(caller.userId, userId, users.entityName, sessionId);
  else if (caller.isGuest) await sessions.endAll(userId, { except: sessionId });
  if (!(await sessions.transfer(sessionId, userId, settings.sessionLifetimeMs())))
    throw noSessionToUpgrade();
  await audit.record(context, "sign-in", { userId, detail: { method: "upgrade" } });
  return rotates
    ? signedInAnswer(await services.signIn.refresh(sessionId), 200, { upgraded: true })
    : signedIn(services, token, userId, 200, { upgraded: true });
}

/** Returns the token of the session that sent the request. @throws PylonError UPGRADE_FAILED */
function ownToken({ cookie }: AuthServices, { identity, request }: RequestContext): string {
  const token = bearerToken(request.headers) ?? cookie.read(request.headers);
  // A JWT identifies a session, but is not its token.
  if (token !== null && identity.sessionId !== null && identity.isForServices !== true)
    return token;
  throw noSessionToUpgrade();
}

function noSessionToUpgrade(): PylonError {
  return new PylonError("UPGRADE_FAILED", "There is no session to upgrade.", {
    hint: "Send the token of a guest, from POST /api/auth/guest.",
  });
}

/** Null if the app has no user entity. */
async function userOrNull(
  { users }: AuthServices,
  userId: string,
): ReturnType<AuthServices["users"]["get"]> {
  return users.isDeclared ? users.get(userId) : null;
}

/** Older clients identify a session by `token_prefix`, which is not a part of the token either. */
function toWire(
  { publicId, userId, device, createdAt, seenAt, expiresAt }: SessionInfo,
  isCurrent: boolean,
): Record<string, unknown> {
  return {
    id: publicId,
    token_prefix: publicId,
    user_id: userId,
    device,
    created_at: isoTime(createdAt),
    seen_at: isoTime(seenAt),
    expires_at: isoTime(expiresAt),
    current: isCurrent,
  };
}
