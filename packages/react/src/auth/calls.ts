import { isSignedIn, isWaitingSignUp } from "@pylonsync/protocol";
import { parseAnswer, PylonClientError, type SyncEngine } from "@pylonsync/sync";
import { getEngine } from "../client.ts";

/** The result of a sign-in. */
export interface SignedIn {
  readonly token: string;
  readonly userId: string;
}

/** The result of a sign-up: complete, or waiting for the emailed code. */
export type SignUpResult =
  | (SignedIn & { readonly verificationRequired: false })
  | { readonly verificationRequired: true };

/** The engine to use; default: the app's engine. */
export interface AuthCallOptions {
  readonly sync?: SyncEngine;
}

/**
 * Signs in with email and password. The replica switches to the user's rows; rows of a guest are
 * kept.
 *
 * @throws PylonClientError INVALID_CREDENTIALS, RATE_LIMITED, or MFA_REQUIRED: continue with its
 *   `mfa_token` and `verifySecondFactor`
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
 * Creates an account. If the server sends email, `confirmSignUp` completes it with the emailed
 * code.
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
  if (isWaitingSignUp(answer)) {
    if (answer.sign_up_token !== undefined)
      signUpTokens.set(sync, { email, token: answer.sign_up_token });
    return { verificationRequired: true };
  }
  return { ...keep(sync, answer), verificationRequired: false };
}

/**
 * Completes a sign-up that was started on this page, with the emailed code.
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

/** Identifies the sign-up to confirm: another user may have signed up with the same address. */
const signUpTokens = new WeakMap<SyncEngine, { readonly email: string; readonly token: string }>();

/**
 * Emails a sign-in code.
 *
 * @throws PylonClientError RATE_LIMITED within a minute after the previous code
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
 * Signs in with an emailed code; a new address creates a user.
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
 * Emails a link that signs in this browser, which is identified by a cookie. Any other browser, or
 * this one if it rejects the server's cookies, shows a confirmation first.
 *
 * @param callback where the link redirects to: a path of the server, or a URL of a trusted origin;
 *   default: the server's root
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
 * Completes a sign-in that requires a second factor.
 *
 * @param mfaToken the `mfa_token` of the error MFA_REQUIRED
 * @param code a code from the authenticator app, or a backup code
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
 * Emails a link to choose a new password, if the account exists.
 *
 * @param callback the page that receives `#token=...`
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
 * Sets a new password with the token of the emailed link; all sessions of the user end.
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
 * Signs out: ends the session here and on the server. Without a connection the token is removed
 * here anyway, and the session is ended on the server as soon as it can be reached. A page that is
 * signed in by a cookie stays signed in, because only the server can remove it.
 *
 * @throws PylonClientError, such as UNREACHABLE
 *
 * @example
 * await signOut();
 */
export async function signOut({ sync = getEngine() }: AuthCallOptions = {}): Promise<void> {
  // Without a token, the page is signed in by the cookie of the server's own pages.
  let isOver = sync.token !== null;
  try {
    await sync.request("DELETE", "/api/auth/session");
    isOver = true;
  } catch (error) {
    if (!(error instanceof PylonClientError) || error.status !== 401) {
      sync.session.endLater();
      throw error;
    }
    // The session has already ended.
    isOver = true;
  } finally {
    if (isOver) sync.setToken(null);
  }
}

/**
 * Signs in with the result of a ceremony, such as a passkey's.
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

/** An ended session must not prevent the user from signing in again. */
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
  const { token, user_id: userId } = parseAnswer(isSignedIn, answer);
  sync.setToken(token);
  return { token, userId };
}
