import { isAuthContext, isGuestSession, type ErrorCode } from "@pylonsync/protocol";
import { parseAnswer } from "../connection/answer.ts";
import { PylonClientError } from "../connection/errors.ts";
import type { HttpClient } from "../connection/http.ts";
import type { ResolvedSession } from "./session.ts";

/**
 * Parses the server's response about the session.
 *
 * @throws PylonClientError `UNEXPECTED_ANSWER` for an invalid response
 * @example
 * const session = toResolvedSession(await engine.request("GET", "/api/auth/me"));
 */
export function toResolvedSession(answer: unknown): ResolvedSession {
  const context = parseAnswer(isAuthContext, answer);
  return {
    userId: context.user_id,
    tenantId: context.tenant_id ?? null,
    isAdmin: context.is_admin,
    isGuest: context.is_guest === true,
    roles: context.roles,
  };
}

/**
 * Reads the server's response about the session of a token.
 *
 * @returns an error if the token is no longer valid
 * @throws PylonClientError if there is no response of the server
 */
export async function readSession(
  answer: Promise<unknown>,
): Promise<ResolvedSession | PylonClientError> {
  try {
    const session = await answer;
    return parseAnswer(isAuthContext, session).token_valid === false
      ? endedToken()
      : toResolvedSession(session);
  } catch (error) {
    if (error instanceof PylonClientError && error.status === 401) return error;
    throw error;
  }
}

/** Creates a guest. @throws PylonClientError */
export async function createGuest(
  http: HttpClient,
): Promise<{ readonly token: string; readonly userId: string }> {
  const guest = parseAnswer(isGuestSession, await http.request("POST", "/api/auth/guest", {}));
  return { token: guest.token, userId: guest.user_id };
}

/** Ends the session of the client's token. @throws PylonClientError if it must be tried again */
export async function endSession(http: HttpClient): Promise<void> {
  await http.request("DELETE", "/api/auth/session").catch((error: unknown) => {
    const status = error instanceof PylonClientError ? error.status : 0;
    // A refusal is final, for example of a token that has ended: waiting would not change it.
    if (status < 400 || status === 429 || status >= 500) throw error;
  });
}

/** The server's error code for an ended session. */
const ENDED: ErrorCode = "UNAUTHORIZED";

/** The error, equal to that of any other request with this token. */
function endedToken(): PylonClientError {
  return new PylonClientError(401, {
    code: ENDED,
    message: "This token is unknown, expired or revoked.",
    hint: "Sign in again.",
  });
}
