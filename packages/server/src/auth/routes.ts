import { createIdFactory, PylonError } from "@pylonsync/protocol";
import type { Platform } from "../platform.ts";
import { json, type Answer } from "../request/responses.ts";
import type { RequestContext } from "../request/context.ts";
import type { Route } from "../request/route.ts";
import type { Sessions } from "./sessions.ts";
import { toAuthContext } from "./wire.ts";

/** Guests, who am I, sign-out, and sessions made by the admin. */
export function authRoutes(sessions: Sessions, platform: Platform, lifetimeMs: () => number): Route[] {
  const newId = createIdFactory(platform.now, platform.random);

  const signInGuest = async (): Promise<Answer> => {
    const userId = newId();
    const token = await sessions.create(userId, { isGuest: true, lifetimeMs: lifetimeMs() });
    return json({ token, user_id: userId, guest: true }, 201);
  };

  const createSession = async (context: RequestContext): Promise<Answer> => {
    const body = (await context.json()) as { user_id?: unknown } | null;
    const userId = body?.user_id;
    if (typeof userId !== "string" || userId === "" || userId.length > 256) {
      throw new PylonError("MISSING_FIELD", "Name the user to sign in.", { field: "user_id", hint: 'Send {"user_id": "..."}.' });
    }
    const token = await sessions.create(userId, { isGuest: false, lifetimeMs: lifetimeMs() });
    return json({ token, user_id: userId }, 201);
  };

  const signOut = async ({ identity }: RequestContext): Promise<Answer> => {
    if (identity.sessionId === null) throw new PylonError("AUTH_REQUIRED", "There is no session to end.");
    await sessions.end(identity.sessionId);
    return json({ revoked: true });
  };

  return [
    { method: "GET", path: "/api/auth/me", access: "anyone", handle: ({ caller }) => json(toAuthContext(caller)) },
    { method: "POST", path: "/api/auth/guest", access: "anyone", handle: signInGuest },
    { method: "POST", path: "/api/auth/anonymous", access: "anyone", handle: signInGuest },
    { method: "POST", path: "/api/auth/session", access: "admin-or-dev", handle: createSession },
    { method: "DELETE", path: "/api/auth/session", access: "anyone", handle: signOut },
  ];
}
