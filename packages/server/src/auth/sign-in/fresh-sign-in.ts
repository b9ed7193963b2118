import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import type { StoredRow } from "../../store/store.ts";
import type { AuthServices } from "../auth-services.ts";
import type { AuthInput } from "../security/input.ts";

/**
 * For what can't be undone, or lets somebody stay in, a session must be younger than this, in
 * milliseconds, unless the password is given.
 */
const FRESH_MS = 10 * 60_000;
/** Guesses at the password of a user, from anywhere. */
export const PER_ACCOUNT = { max: 10, windowSeconds: 15 * 60 };

/**
 * Whether the caller signed in a short while ago. A new token for a session makes it no younger.
 */
export async function isFresh(
  { sessions, platform }: AuthServices,
  { identity }: RequestContext,
): Promise<boolean> {
  const session = identity.sessionId === null ? null : await sessions.get(identity.sessionId);
  return session !== null && platform.now() - session.createdAt < FRESH_MS;
}

/**
 * A session that was made a while ago may be a stolen one.
 *
 * @throws PylonError FRESH_SIGN_IN_REQUIRED
 */
export async function requireFresh(services: AuthServices, context: RequestContext): Promise<void> {
  if (await isFresh(services, context)) return;
  throw new PylonError(
    "FRESH_SIGN_IN_REQUIRED",
    "This requires a sign-in within the last ten minutes.",
    {
      hint: "Sign in again, and repeat the request.",
    },
  );
}

/**
 * The `password` of the body, or a fresh sign-in.
 *
 * @throws PylonError INVALID_CREDENTIALS, RATE_LIMITED, FRESH_SIGN_IN_REQUIRED
 */
export async function requireOwner(
  services: AuthServices,
  context: RequestContext,
  input: AuthInput,
  user: StoredRow,
): Promise<void> {
  const password = input.optionalText("password");
  if (password === undefined) {
    if (await isFresh(services, context)) return;
    throw new PylonError(
      "FRESH_SIGN_IN_REQUIRED",
      "This requires the password, or a sign-in within the last ten minutes.",
      { hint: 'Also send {"password": "..."}, or sign in again and repeat the request.' },
    );
  }
  await requirePassword(services, user, password, "password");
}

/**
 * @param field of the body that the password came in
 * @throws PylonError INVALID_CREDENTIALS, RATE_LIMITED
 */
export async function requirePassword(
  { attempts, passwords }: AuthServices,
  user: StoredRow,
  password: string,
  field: string,
): Promise<void> {
  await attempts.count("password", user.id, PER_ACCOUNT);
  if (!(await passwords.matches(user, password)))
    throw new PylonError("INVALID_CREDENTIALS", "The password is wrong.", { field });
  await attempts.forget("password", user.id);
}
