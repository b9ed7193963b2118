import { isAuthContext, isSignedIn, type AuthContext } from "@pylonsync/protocol";
import { parseAnswer, PylonClientError } from "@pylonsync/sync";
import { getEngine } from "./client.ts";
import { apiOf, type RequestAs } from "./rest.ts";

/** A session, as returned by the server. */
export interface SessionToken {
  readonly token: string;
  readonly user_id: string;
  /** In seconds since 1970. */
  readonly expires_at: number;
}

/**
 * Creates a session for a user, without signing in here. Only in dev mode, or with the admin's
 * token.
 *
 * @throws PylonClientError FORBIDDEN
 *
 * @example
 * const { token } = await createSession("user-1");
 */
export async function createSession(
  userId: string,
  options: RequestAs = {},
): Promise<SessionToken> {
  const body = { user_id: userId };
  return toSession(await apiOf(options).request("POST", "/api/auth/session", body));
}

/**
 * Returns the identity of a token, as from `GET /api/auth/me`. In a component use `useSession`.
 *
 * @throws PylonClientError
 *
 * @example
 * const { user_id } = await getAuthContext();
 */
export async function getAuthContext(options: RequestAs = {}): Promise<AuthContext> {
  return parseAnswer(isAuthContext, await apiOf(options).request("GET", "/api/auth/me"));
}

/**
 * Exchanges a token for one that expires later; the old one becomes invalid. The engine keeps using
 * its own token: if you refreshed that one, set the new one with `db.sync.session.setToken`.
 *
 * @returns null if the session has ended
 * @throws PylonClientError if the server is unreachable
 *
 * @example
 * const renewed = await refreshSession("the token");
 */
export async function refreshSession(
  token: string,
  options: Omit<RequestAs, "token"> = {},
): Promise<SessionToken | null> {
  try {
    const answer = await apiOf({ ...options, token }).request("POST", "/api/auth/refresh", {});
    return toSession(answer);
  } catch (error) {
    if (error instanceof PylonClientError && error.status === 401) return null;
    throw error;
  }
}

/** Callbacks and timing of `startSessionAutoRefresh`. */
export interface AutoRefreshOptions extends Omit<RequestAs, "token"> {
  /** Called with the new token. Store it: the previous one is no longer valid. */
  readonly onRefresh: (session: SessionToken) => void;
  /** Called when the session has ended, and the user has to sign in again. */
  readonly onExpired?: (() => void) | undefined;
  /** How long before its expiry a session is refreshed, in seconds. Default 3600. */
  readonly marginSecs?: number | undefined;
}

/** The maximum delay of a browser's timer is about 24 days. */
const MAX_WAIT_MS = 24 * 86_400_000;
/** The delay before a retry when the server is unreachable, in milliseconds. */
const RETRY_MS = 60_000;
/** Prevents continuous refreshes of a session that is shorter than the margin. */
const MIN_WAIT_MS = 1_000;

/**
 * Refreshes a session repeatedly before it expires.
 *
 * @returns a function that stops it
 *
 * @example
 * const session = { token: "the token", expires_at: Date.now() / 1000 + 86_400 };
 * const stop = startSessionAutoRefresh(session, {
 *   onRefresh: ({ token }) => localStorage.setItem("my-token", token),
 *   onExpired: () => location.assign("/sign-in"),
 * });
 */
export function startSessionAutoRefresh(
  session: Pick<SessionToken, "token" | "expires_at">,
  { onRefresh, onExpired, marginSecs = 3600, sync = getEngine() }: AutoRefreshOptions,
): () => void {
  const { platform } = sync;
  let isStopped = false;
  let cancel: () => void = () => undefined;

  const wait = (
    { token, expires_at }: Pick<SessionToken, "token" | "expires_at">,
    at: number,
  ): void => {
    const left = Math.max(MIN_WAIT_MS, at - platform.now());
    cancel = platform.after(Math.min(left, MAX_WAIT_MS), () => {
      if (left > MAX_WAIT_MS) wait({ token, expires_at }, at);
      else void renew({ token, expires_at });
    });
  };
  const renew = async (old: Pick<SessionToken, "token" | "expires_at">): Promise<void> => {
    const renewed = await refreshSession(old.token, { sync }).catch(() => undefined);
    if (isStopped) return;
    const isOver = platform.now() >= old.expires_at * 1000;
    if (renewed === null || (renewed === undefined && isOver)) return onExpired?.();
    if (renewed === undefined) return wait(old, platform.now() + RETRY_MS);
    onRefresh(renewed);
    wait(renewed, (renewed.expires_at - marginSecs) * 1000);
  };

  wait(session, (session.expires_at - marginSecs) * 1000);
  return () => {
    isStopped = true;
    cancel();
  };
}

function toSession(answer: unknown): SessionToken {
  const { token, user_id, expires_at = 0 } = parseAnswer(isSignedIn, answer);
  return { token, user_id, expires_at };
}
