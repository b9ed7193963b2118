"use client";
/**
 * Sign-up and sign-in for forms of your own in client components, by the cookie of this origin. The
 * forms `SignIn` and `SignUp` of `@pylonsync/next` do all of it.
 *
 * @module
 */
import { notifySessionChanged } from "@pylonsync/react";
import { PylonClientError } from "@pylonsync/sync";
import { useCallback, useEffect, useRef, useState } from "react";
import { api } from "./api.ts";
import type { OAuthProvider } from "./wire.ts";

/** What a form of a sign-in has. */
export interface Credentials {
  readonly email: string;
  readonly password: string;
}

/** What a form of a sign-up has. */
export interface SignUpDetails extends Credentials {
  readonly displayName?: string | undefined;
}

/** Who has signed in; the session is a cookie. */
export interface SignedInUser {
  readonly user_id: string;
}

/**
 * Creates an account and signs in. Where the server sends mail, it waits for the code of the mail:
 * then the answer has `verification_required`.
 *
 * @throws ApiError WEAK_PASSWORD, INVALID_EMAIL
 *
 * @example
 * await signupWithPassword({ email: "ann@example.com", password: "correct horse battery" });
 */
export async function signupWithPassword(
  details: SignUpDetails,
): Promise<Partial<SignedInUser> & { readonly verification_required?: true }> {
  const answer = await api<Partial<SignedInUser> & { readonly verification_required?: true }>(
    "/api/auth/password/register",
    { method: "POST", body: details },
  );
  notifySessionChanged();
  return answer;
}

/**
 * Signs in.
 *
 * @throws ApiError INVALID_CREDENTIALS, RATE_LIMITED, MFA_REQUIRED
 *
 * @example
 * await loginWithPassword({ email: "ann@example.com", password: "correct horse battery" });
 */
export async function loginWithPassword(credentials: Credentials): Promise<SignedInUser> {
  const answer = await api<SignedInUser>("/api/auth/password/login", {
    method: "POST",
    body: credentials,
  });
  notifySessionChanged();
  return answer;
}

/**
 * Ends the session. One that has ended already is no error.
 *
 * @throws ApiError
 *
 * @example
 * await logout();
 */
export async function logout(): Promise<void> {
  try {
    await api("/api/auth/session", { method: "DELETE" });
  } catch (error) {
    if (!(error instanceof PylonClientError) || error.status !== 401) throw error;
  }
  notifySessionChanged();
}

/**
 * The providers that users may sign in with.
 *
 * @throws ApiError
 *
 * @example
 * const names = (await listOAuthProviders()).map(({ provider }) => provider);
 */
export function listOAuthProviders(): Promise<readonly OAuthProvider[]> {
  return api<readonly OAuthProvider[]>("/api/auth/providers");
}

/** Where a sign-in with a provider leads to: paths or URLs of an origin that the server trusts. */
export interface OAuthLoginOptions {
  /** Default: this page. */
  readonly successUrl?: string | undefined;
  /** Gets `oauth_error` and `oauth_error_message`. Default: this page. */
  readonly errorUrl?: string | undefined;
}

/**
 * Leaves the page to sign in with a provider.
 *
 * @example
 * startOAuthLogin("google", { successUrl: "/dashboard", errorUrl: "/login" });
 */
export function startOAuthLogin(
  provider: string,
  { successUrl, errorUrl }: OAuthLoginOptions = {},
): void {
  const absolute = (url = location.href): string => new URL(url, location.href).href;
  const query = new URLSearchParams({
    redirect: "1",
    callback: absolute(successUrl),
    error_callback: absolute(errorUrl),
  });
  location.assign(`/api/auth/login/${encodeURIComponent(provider)}?${query.toString()}`);
}

/**
 * Mails the signed-in user a code that proves the address.
 *
 * @throws ApiError RATE_LIMITED
 *
 * @example
 * await sendVerificationEmail();
 */
export async function sendVerificationEmail(): Promise<void> {
  await api("/api/auth/email/send-verification", { method: "POST", body: {} });
}

/**
 * Proves the address with the code of the mail.
 *
 * @throws ApiError INVALID_CODE
 *
 * @example
 * await verifyEmail("123456");
 */
export async function verifyEmail(code: string): Promise<void> {
  await api("/api/auth/email/verify", { method: "POST", body: { code } });
}

/**
 * The providers that users may sign in with; none until they are known.
 *
 * @example
 * function Providers() {
 *   return useOAuthProviders().map(({ provider }) => (
 *     <button key={provider} onClick={() => startOAuthLogin(provider)}>{provider}</button>
 *   ));
 * }
 */
export function useOAuthProviders(): readonly OAuthProvider[] {
  const [providers, setProviders] = useState<readonly OAuthProvider[]>([]);
  useEffect(() => {
    let isGone = false;
    listOAuthProviders().then(
      (found) => isGone || setProviders(found),
      // A page without these buttons can still sign in by password.
      () => undefined,
    );
    return () => {
      isGone = true;
    };
  }, []);
  return providers;
}

/** The state of a form's request, as `useAuthSubmit` returns it. */
export interface AuthSubmit {
  /** In words; null while there is none. */
  readonly error: string | null;
  readonly busy: boolean;
  /** Runs it, unless one is under way. @returns whether it succeeded */
  readonly submit: (work: () => Promise<unknown>) => Promise<boolean>;
  readonly setError: (error: string | null) => void;
}

/**
 * Runs a form's request once at a time, and says what went wrong.
 *
 * @example
 * function Login() {
 *   const { submit, busy, error } = useAuthSubmit();
 *   const form = { email: "ann@example.com", password: "correct horse battery" };
 *   return (
 *     <button disabled={busy} onClick={() => void submit(() => loginWithPassword(form))}>
 *       {error ?? "Sign in"}
 *     </button>
 *   );
 * }
 */
export function useAuthSubmit(): AuthSubmit {
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  // Known at once, where the state is of the last render: a double click is one request.
  const isRunning = useRef(false);
  const submit = useCallback(async (work: () => Promise<unknown>): Promise<boolean> => {
    if (isRunning.current) return false;
    isRunning.current = true;
    setBusy(true);
    setError(null);
    try {
      await work();
      return true;
    } catch (cause) {
      setError(cause instanceof Error ? cause.message : String(cause));
      return false;
    } finally {
      isRunning.current = false;
      setBusy(false);
    }
  }, []);
  return { error, busy, submit, setError };
}
