import { createIdFactory, PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { json, JsonAnswer, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { isoTime } from "../../store/system-table.ts";
import { deviceOf } from "../security/audit.ts";
import type { AuthServices } from "../auth-services.ts";
import { AuthInput } from "../security/input.ts";
import { signedInAnswer } from "../sign-in/sign-in.ts";
import type { SessionInfo } from "./sessions.ts";
import { toAuthContext } from "./auth-context.ts";

const MAX_USER_ID = 256;

/** Who am I, guests, the devices of a user, signing out, and sessions made by the admin. */
export function sessionRoutes(services: AuthServices): Route[] {
  const { sessions, users, guests, cookie, audit, settings, platform } = services;
  const newId = createIdFactory(platform.now, platform.random);
  const lifetimeMs = settings.sessionLifetimeMs;

  const signedIn = (
    token: string,
    userId: string,
    status: number,
    extra: Readonly<Record<string, unknown>> = {},
  ): Answer => {
    const expires_at = Math.floor((platform.now() + lifetimeMs()) / 1000);
    return new JsonAnswer({ token, user_id: userId, expires_at, ...extra }, status, {
      "Set-Cookie": [cookie.keep(token, lifetimeMs())],
    });
  };

  const session = async ({ caller }: RequestContext): Promise<Answer> => {
    const user =
      caller.userId === null || caller.isGuest ? null : await userOrNull(services, caller.userId);
    return json({ session: toAuthContext(caller), user: user === null ? null : users.view(user) });
  };

  const signInGuest = async (context: RequestContext): Promise<Answer> => {
    const userId = newId();
    const token = await sessions.create(userId, {
      isGuest: true,
      lifetimeMs: lifetimeMs(),
      device: deviceOf(context),
    });
    return signedIn(token, userId, 201, { guest: true });
  };

  const createSession = async (context: RequestContext): Promise<Answer> => {
    const userId = (await AuthInput.of(context)).text("user_id", MAX_USER_ID);
    const token = await sessions.create(userId, {
      isGuest: false,
      lifetimeMs: lifetimeMs(),
      device: deviceOf(context),
    });
    await audit.record(context, "sign-in", { userId, detail: { method: "admin" } });
    return signedIn(token, userId, 201);
  };

  const signOut = async (context: RequestContext): Promise<Answer> => {
    const { sessionId, caller } = context.identity;
    if (sessionId !== null) {
      await sessions.end(sessionId);
      await audit.record(context, "sign-out", { userId: caller.userId });
    } else if (cookie.read(context.request.headers) === null) {
      throw new PylonError("AUTH_REQUIRED", "There is no session to end.");
    }
    return new JsonAnswer({ revoked: true }, 200, { "Set-Cookie": [cookie.clear()] });
  };

  const listSessions = async ({ identity }: RequestContext): Promise<Answer> => {
    const { userId } = identity.caller;
    const found = userId === null ? [] : await sessions.list(userId);
    return json(found.map((info) => toWire(info, info.id === identity.sessionId)));
  };

  /** All of them, this one too; `?others=1` keeps it. */
  const endSessions = async (context: RequestContext): Promise<Answer> => {
    const { userId } = context.caller;
    if (userId === null) throw new PylonError("AUTH_REQUIRED", "Nobody is signed in.");
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
  };

  const endDevice = async (context: RequestContext): Promise<Answer> => {
    const { userId } = context.caller;
    const found = userId === null ? [] : await sessions.list(userId);
    const info = found.find(({ publicId }) => publicId === context.param("id"));
    if (info === undefined)
      throw new PylonError("NOT_FOUND", "You have no such session.", {
        hint: "GET /api/auth/sessions lists them.",
      });
    await sessions.end(info.id);
    await audit.record(context, "sign-out.device", { userId });
    return json({ revoked: true });
  };

  const refresh = async (context: RequestContext): Promise<Answer> => {
    const { sessionId } = context.identity;
    if (sessionId === null)
      throw new PylonError("AUTH_REQUIRED", "There is no session to refresh.", {
        hint: "Sign in.",
      });
    const renewed = await services.signIn.refresh(sessionId);
    await audit.record(context, "session.refreshed");
    return signedInAnswer(renewed);
  };

  /**
   * For servers that know their users by other means: the guest of `guest_token`, in dev also the
   * caller, becomes the user that is named.
   */
  const upgrade = async (context: RequestContext): Promise<Answer> => {
    const input = await AuthInput.of(context);
    const userId = input.text("user_id", MAX_USER_ID);
    const guestToken = input.optionalText("guest_token");
    const { caller } =
      guestToken === undefined ? context.identity : await sessions.identify(guestToken);
    if (!caller.isGuest || caller.userId === null)
      throw new PylonError("INVALID_DATA", "Only a guest can be upgraded.", {
        field: "guest_token",
        hint: "Send the guest's token.",
      });
    if (caller.userId === userId) await sessions.endAll(userId);
    else await guests.handOver(caller.userId, userId, users.entityName);
    const token = await sessions.create(userId, {
      isGuest: false,
      lifetimeMs: lifetimeMs(),
      device: deviceOf(context),
    });
    await audit.record(context, "sign-in", { userId, detail: { method: "upgrade" } });
    return signedIn(token, userId, 200);
  };

  return [
    {
      method: "GET",
      path: "/api/auth/me",
      access: "anyone",
      scope: "open",
      handle: ({ caller }) => json(toAuthContext(caller)),
    },
    { method: "GET", path: "/api/auth/session", access: "anyone", handle: session },
    {
      method: "POST",
      path: "/api/auth/session",
      body: "small",
      access: "admin-or-dev",
      handle: createSession,
    },
    { method: "DELETE", path: "/api/auth/session", access: "anyone", handle: signOut },
    { method: "GET", path: "/api/auth/sessions", access: "signed-in", handle: listSessions },
    { method: "DELETE", path: "/api/auth/sessions", access: "signed-in", handle: endSessions },
    { method: "DELETE", path: "/api/auth/sessions/:id", access: "signed-in", handle: endDevice },
    { method: "POST", path: "/api/auth/refresh", body: "small", access: "anyone", handle: refresh },
    {
      method: "POST",
      path: "/api/auth/guest",
      body: "small",
      access: "anyone",
      handle: signInGuest,
    },
    {
      method: "POST",
      path: "/api/auth/anonymous",
      body: "small",
      access: "anyone",
      handle: signInGuest,
    },
    {
      method: "POST",
      path: "/api/auth/upgrade",
      body: "small",
      access: "admin-or-dev",
      handle: upgrade,
    },
  ];
}

/** Null where the app has no user entity. */
async function userOrNull(
  { users }: AuthServices,
  userId: string,
): ReturnType<AuthServices["users"]["get"]> {
  return users.isDeclared ? users.get(userId) : null;
}

/** `token_prefix` is what older clients name a session by; here too it is no part of the token. */
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
