import { SignedInSchema } from "@pylonsync/protocol";
import { parseAnswer, PylonClientError, type SyncEngine } from "@pylonsync/sync";
import * as v from "valibot";
import { getEngine } from "../client.ts";

/** What a sign-in answers. */
export interface SignedIn {
  readonly token: string;
  readonly userId: string;
}

/** A sign-up is done, or waits for the code that was mailed. */
export type SignUpResult =
  | (SignedIn & { readonly verificationRequired: false })
  | { readonly verificationRequired: true };

/** Which engine signs in; by default the app's. */
export interface AuthCallOptions {
  readonly sync?: SyncEngine;
}

/**
 * Signs in; the replica changes over to the user's, and what a guest had made comes along.
 *
 * @throws PylonClientError INVALID_CREDENTIALS, RATE_LIMITED, or MFA_REQUIRED: then
 *   `verifySecondFactor` goes on with its `mfa_token`
 */
export function signInWithPassword(
  email: string,
  password: string,
  options: AuthCallOptions = {},
): Promise<SignedIn> {
  return signIn("/api/auth/password/login", { email, password }, options);
}

/**
 * Makes an account. Where mail is sent, `confirmSignUp` ends it with the code.
 *
 * @throws PylonClientError WEAK_PASSWORD, INVALID_EMAIL
 */
export async function signUpWithPassword(
  email: string,
  password: string,
  details: { readonly displayName?: string } & AuthCallOptions = {},
): Promise<SignUpResult> {
  const { sync = getEngine(), ...profile } = details;
  const answer = await asWhoeverIsLeft(sync, () =>
    sync.request("POST", "/api/auth/password/register", { email, password, ...profile }),
  );
  if (v.is(WaitingSchema, answer)) {
    if (answer.sign_up_token !== undefined)
      signUpTokens.set(sync, { email, token: answer.sign_up_token });
    return { verificationRequired: true };
  }
  return { ...keep(sync, answer), verificationRequired: false };
}

/**
 * Ends the sign-up that this page began with the code of the mail.
 *
 * @throws PylonClientError INVALID_CODE
 */
export async function confirmSignUp(
  email: string,
  code: string,
  options: AuthCallOptions = {},
): Promise<SignedIn> {
  const { sync = getEngine() } = options;
  const begun = signUpTokens.get(sync);
  const signedIn = await signIn(
    "/api/auth/password/register/confirm",
    { email, code, ...(begun?.email === email ? { sign_up_token: begun.token } : {}) },
    { sync },
  );
  signUpTokens.delete(sync);
  return signedIn;
}

const WaitingSchema = v.object({
  verification_required: v.literal(true),
  sign_up_token: v.optional(v.string()),
});

/**
 * Says whose sign-up a code confirms: without it, that of whoever else signed up with the same
 * address.
 */
const signUpTokens = new WeakMap<SyncEngine, { readonly email: string; readonly token: string }>();

/**
 * Mails a code to sign in with.
 *
 * @throws PylonClientError RATE_LIMITED within a minute of the one before
 */
export async function sendCode(
  email: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<void> {
  await sync.request("POST", "/api/auth/magic/send", { email });
}

/**
 * Signs in with the code of the mail; a new address is a new user.
 *
 * @throws PylonClientError INVALID_CODE, MFA_REQUIRED
 */
export function signInWithCode(
  email: string,
  code: string,
  options: AuthCallOptions = {},
): Promise<SignedIn> {
  return signIn("/api/auth/magic/verify", { email, code }, options);
}

/**
 * Mails a link that signs in this browser, by its cookie. Any other browser that opens it asks
 * first whether to sign in, and so does this one where it keeps no cookie of the server.
 *
 * @param callback where the link leads to: a path of the server, or a URL of a trusted origin; by
 *   default the server's root
 * @throws PylonClientError EMAIL_NOT_CONFIGURED, INVALID_REDIRECT, RATE_LIMITED
 */
export async function sendLink(
  email: string,
  { callback, sync = getEngine() }: { readonly callback?: string } & AuthCallOptions = {},
): Promise<void> {
  await sync.request("POST", "/api/auth/magic-link/send", {
    email,
    ...(callback === undefined ? {} : { callback }),
  });
}

/**
 * Goes on with a sign-in that asked for a second factor.
 *
 * @param code of the authenticator app, or a backup code
 */
export function verifySecondFactor(
  mfaToken: string,
  code: string,
  options: { readonly trustDevice?: boolean } & AuthCallOptions = {},
): Promise<SignedIn> {
  const { trustDevice = false, ...rest } = options;
  return signIn(
    "/api/auth/totp/verify",
    { mfa_token: mfaToken, code, trust_device: trustDevice },
    rest,
  );
}

/**
 * Mails a link to choose a new password with, if there is such an account.
 *
 * @param callback the page that takes `#token=...`
 */
export async function requestPasswordReset(
  email: string,
  { callback, sync = getEngine() }: { readonly callback?: string } & AuthCallOptions = {},
): Promise<void> {
  await sync.request("POST", "/api/auth/password/reset/request", {
    email,
    ...(callback === undefined ? {} : { callback }),
  });
}

/**
 * Sets the password with the token of the link; all sessions of the user end.
 *
 * @throws PylonClientError INVALID_TOKEN, WEAK_PASSWORD
 */
export async function resetPassword(
  token: string,
  password: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<void> {
  await sync.request("POST", "/api/auth/password/reset/complete", { token, password });
}

/**
 * Ends the session here and on the server. Without a connection a token is forgotten here all the
 * same; a cookie only the server can take away.
 *
 * @throws PylonClientError, such as UNREACHABLE
 */
export async function signOut({ sync = getEngine() }: AuthCallOptions = {}): Promise<void> {
  let isOver = sync.credentials === "token";
  try {
    await sync.request("DELETE", "/api/auth/session");
    isOver = true;
  } catch (error) {
    // There is no session any more.
    if (!(error instanceof PylonClientError) || error.status !== 401) throw error;
    isOver = true;
  } finally {
    if (isOver) sync.setToken(null);
  }
}

/** Signs in by what a ceremony has made, such as a passkey's answer. @throws PylonClientError */
export async function signIn(
  path: string,
  body: Readonly<Record<string, unknown>>,
  { sync = getEngine() }: AuthCallOptions,
): Promise<SignedIn> {
  return keep(sync, await asWhoeverIsLeft(sync, () => sync.request("POST", path, body)));
}

/** A session that is over keeps nobody from signing in anew. */
async function asWhoeverIsLeft<T>(sync: SyncEngine, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof PylonClientError) || error.code !== "UNAUTHORIZED") throw error;
    sync.forgetToken();
    return ask();
  }
}

function keep(sync: SyncEngine, answer: unknown): SignedIn {
  const { token, user_id: userId } = parseAnswer(SignedInSchema, answer);
  sync.setToken(token);
  return { token, userId };
}
