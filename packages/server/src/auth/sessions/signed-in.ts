import { JsonAnswer } from "../../request/responses.ts";

/** The result of a successful sign-in. */
export interface SignedIn {
  readonly token: string;
  readonly userId: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  /** Values for `Set-Cookie`. */
  readonly cookies: readonly string[];
}

/** The response to a sign-in, with the session's cookie. */
export function signedInAnswer(
  { token, userId, expiresAt, cookies }: SignedIn,
  status = 200,
  extra: Readonly<Record<string, unknown>> = {},
): JsonAnswer {
  return new JsonAnswer(
    { token, user_id: userId, expires_at: Math.floor(expiresAt / 1000), ...extra },
    status,
    { "Set-Cookie": cookies },
  );
}
