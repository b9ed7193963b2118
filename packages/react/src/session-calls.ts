import { AuthContextSchema, SignedInSchema, type AuthContext } from "@pylonsync/protocol";
import { parseAnswer, PylonClientError } from "@pylonsync/sync";
import { getEngine } from "./client.ts";
import { apiOf, type RequestAs } from "./rest.ts";

/** A session, as the server answers it. */
export interface SessionToken {
  readonly token: string;
  readonly user_id: string;
  /** In seconds since 1970. */
  readonly expires_at: number;
}

/**
 * Makes a session for a user, without signing in here: in dev mode, or with the admin's token.
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
 * Who a token stands for, as `GET /api/auth/me` answers it. In a component use `useSession`.
 *
 * @throws PylonClientError
 *
 * @example
 * const { user_id } = await getAuthContext();
 */
export async function getAuthContext(options: RequestAs = {}): Promise<AuthContext> {
  return parseAnswer(AuthContextSchema, await apiOf(options).request("GET", "/api/auth/me"));
}

/**
 * Exchanges a token for one that lives longer; the old one ends. The engine goes on with the one
 * that it has: give it the new one with `db.sync.session.setToken`, if it is its own.
 *
 * @returns null when the session has ended
 * @throws PylonClientError when the server could not be asked
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

/** What `startSessionAutoRefresh` tells, and when it asks. */
export interface AutoRefreshOptions extends Omit<RequestAs, "token"> {
  /** Keep the new token: the one before has ended. */
  readonly onRefresh: (session: SessionToken) => void;
  /** The session has ended, and somebody has to sign in. */
  readonly onExpired?: (() => void) | undefined;
  /** How long before its end a session is refreshed, in seconds. Default 3600. */
  readonly marginSecs?: number | undefined;
}

/** A browser's timer counts no longer than some 24 days. */
const MAX_WAIT_MS = 24 * 86_400_000;
/** When to ask again after a server that could not be asked, in milliseconds. */
const RETRY_MS = 60_000;
/** A session that is shorter than the margin is not refreshed all the time. */
const MIN_WAIT_MS = 1_000;

/**
 * Refreshes a session before it ends, again and again.
 *
 * @returns stops it
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
  const { token, user_id, expires_at = 0 } = parseAnswer(SignedInSchema, answer);
  return { token, user_id, expires_at };
}
