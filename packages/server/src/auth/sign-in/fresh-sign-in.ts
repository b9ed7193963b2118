import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import type { StoredRow } from "../../store/store.ts";
import type { AuthServices } from "../auth-services.ts";
import type { AuthInput } from "../security/input.ts";

/**
 * The maximum age of a session for actions that can't be undone or that add a credential, in
 * milliseconds, unless the password is sent.
 */
const FRESH_MS = 10 * 60_000;
/** The number of guesses at the password of a user per time window, from any address. */
export const PER_ACCOUNT = { max: 10, windowSeconds: 15 * 60 };

/** Whether the caller signed in a short while ago. A new token does not make a session younger. */
export async function isFresh(
  { sessions, platform }: AuthServices,
  { identity }: RequestContext,
): Promise<boolean> {
  const session = identity.sessionId === null ? null : await sessions.get(identity.sessionId);
  return session !== null && platform.now() - session.createdAt < FRESH_MS;
}

/**
 * Requires a recent sign-in, because an older session may have been stolen.
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
 * Requires the `password` in the body, or a recent sign-in.
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
 * @param field the body's field that contained the password
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
