import { SignedInSchema } from "@pylonsync/protocol";
import { parseAnswer, PylonClientError, type SyncEngine } from "@pylonsync/sync";
import * as v from "valibot";
import { getEngine } from "../client.ts";

/** The answer to a sign-in. */
export interface SignedIn {
  readonly token: string;
  readonly userId: string;
}

/** A sign-up is complete, or waits for the code that was mailed. */
export type SignUpResult =
  | (SignedIn & { readonly verificationRequired: false })
  | { readonly verificationRequired: true };

/** The engine that signs in; by default the app's. */
export interface AuthCallOptions {
  readonly sync?: SyncEngine;
}

/**
 * Signs in. The replica changes over to the user's, and a guest's rows are kept.
 *
 * @throws PylonClientError INVALID_CREDENTIALS, RATE_LIMITED, or MFA_REQUIRED: then
 *   `verifySecondFactor` continues with its `mfa_token`
 *
 * @example
 * const { userId } = await signInWithPassword("ada@example.com", "correct horse");
 */
export function signInWithPassword(
  email: string,
  password: string,
  options: AuthCallOptions = {},
): Promise<SignedIn> {
  return signIn("/api/auth/password/login", { email, password }, options);
}

/**
 * Creates an account. Where the server sends mail, `confirmSignUp` completes it with the code.
 *
 * @throws PylonClientError WEAK_PASSWORD, INVALID_EMAIL
 *
 * @example
 * const { verificationRequired } = await signUpWithPassword("ada@example.com", "correct horse", {
 *   displayName: "Ada",
 * });
 */
export async function signUpWithPassword(
  email: string,
  password: string,
  details: { readonly displayName?: string } & AuthCallOptions = {},
): Promise<SignUpResult> {
  const { sync = getEngine(), ...profile } = details;
  const answer = await withoutStaleSession(sync, () =>
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
 * Completes the sign-up that this page began, with the code of the mail.
 *
 * @throws PylonClientError INVALID_CODE
 *
 * @example
 * await confirmSignUp("ada@example.com", "123456");
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
 * Names the sign-up that a code confirms: another user may have signed up with the same address.
 */
const signUpTokens = new WeakMap<SyncEngine, { readonly email: string; readonly token: string }>();

/**
 * Mails a code to sign in with.
 *
 * @throws PylonClientError RATE_LIMITED within a minute of the one before
 *
 * @example
 * await sendCode("ada@example.com");
 */
export async function sendCode(
  email: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<void> {
  await sync.request("POST", "/api/auth/magic/send", { email });
}

/**
 * Signs in with the code of the mail; a new address creates a user.
 *
 * @throws PylonClientError INVALID_CODE, MFA_REQUIRED
 *
 * @example
 * const { userId } = await signInWithCode("ada@example.com", "123456");
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
 * first whether to sign in, and so does this one when it keeps no cookie of the server.
 *
 * @param callback where the link leads to: a path of the server, or a URL of a trusted origin; by
 *   default the server's root
 * @throws PylonClientError EMAIL_NOT_CONFIGURED, INVALID_REDIRECT, RATE_LIMITED
 *
 * @example
 * await sendLink("ada@example.com", { callback: "/notes" });
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
 * Continues a sign-in that asked for a second factor.
 *
 * @param mfaToken of the error MFA_REQUIRED
 * @param code of the authenticator app, or a backup code
 * @throws PylonClientError INVALID_CODE, INVALID_TOKEN
 *
 * @example
 * try {
 *   await signInWithPassword("ada@example.com", "correct horse");
 * } catch (error) {
 *   if (!(error instanceof PylonClientError) || error.code !== "MFA_REQUIRED") throw error;
 *   await verifySecondFactor(String(error.body["mfa_token"]), "123456", { trustDevice: true });
 * }
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
 * Mails a link to choose a new password, if there is such an account.
 *
 * @param callback the page that takes `#token=...`
 * @throws PylonClientError EMAIL_NOT_CONFIGURED, INVALID_REDIRECT, RATE_LIMITED
 *
 * @example
 * await requestPasswordReset("ada@example.com", { callback: "https://example.com/reset" });
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
 *
 * @example
 * const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
 * await resetPassword(token, "battery staple");
 */
export async function resetPassword(
  token: string,
  password: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<void> {
  await sync.request("POST", "/api/auth/password/reset/complete", { token, password });
}

/**
 * Ends the session here and on the server. Without a connection a token is removed here all the
 * same; a cookie only the server can remove.
 *
 * @throws PylonClientError, such as UNREACHABLE
 *
 * @example
 * await signOut();
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

/**
 * Signs in with the answer of a ceremony, such as a passkey's.
 *
 * @throws PylonClientError
 */
export async function signIn(
  path: string,
  body: Readonly<Record<string, unknown>>,
  { sync = getEngine() }: AuthCallOptions,
): Promise<SignedIn> {
  return keep(sync, await withoutStaleSession(sync, () => sync.request("POST", path, body)));
}

/** A session that has ended must not keep the user from signing in again. */
async function withoutStaleSession<T>(sync: SyncEngine, ask: () => Promise<T>): Promise<T> {
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
