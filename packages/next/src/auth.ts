"use client";
/**
 * Sign-up and sign-in for your own forms in client components, with the cookie of this origin. The
 * components `SignIn` and `SignUp` of `@pylonsync/next` are ready-made forms.
 *
 * @module
 */
import { notifySessionChanged } from "@pylonsync/react";
import { PylonClientError } from "@pylonsync/sync";
import { useCallback, useEffect, useRef, useState } from "react";
import { api } from "./api.ts";
import type { OAuthProvider } from "./wire.ts";

/** The values of a sign-in form. */
export interface Credentials {
  readonly email: string;
  readonly password: string;
}

/** The values of a sign-up form. */
export interface SignUpDetails extends Credentials {
  readonly displayName?: string | undefined;
}

/** The signed-in user; the session is stored in a cookie. */
export interface SignedInUser {
  readonly user_id: string;
}

/**
 * Creates an account and signs in. If the server sends email, the account must be confirmed with an
 * emailed code: then the result contains `verification_required`.
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
 * Signs in with email and password.
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
 * Signs out. A session that has already ended is not an error.
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
 * Lists the OAuth providers for sign-in.
 *
 * @throws ApiError
 *
 * @example
 * const names = (await listOAuthProviders()).map(({ provider }) => provider);
 */
export function listOAuthProviders(): Promise<readonly OAuthProvider[]> {
  return api<readonly OAuthProvider[]>("/api/auth/providers");
}

/** Redirect targets of an OAuth sign-in: paths, or URLs of a trusted origin. */
export interface OAuthLoginOptions {
  /** Default: the current page. */
  readonly successUrl?: string | undefined;
  /** Receives `oauth_error` and `oauth_error_message`. Default: the current page. */
  readonly errorUrl?: string | undefined;
}

/**
 * Redirects to an OAuth provider to sign in.
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
 * Emails the signed-in user a code to verify their address.
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
 * Verifies the address with the emailed code.
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
 * Returns the OAuth providers for sign-in; empty until they are loaded.
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
      // Without these buttons, users can still sign in with a password.
      () => undefined,
    );
    return () => {
      isGone = true;
    };
  }, []);
  return providers;
}

/** The result of `useAuthSubmit`. */
export interface AuthSubmit {
  /** The error message; null for none. */
  readonly error: string | null;
  readonly busy: boolean;
  /** Runs the request, unless one is running. @returns whether it succeeded */
  readonly submit: (work: () => Promise<unknown>) => Promise<boolean>;
  readonly setError: (error: string | null) => void;
}

/**
 * Runs a form's request, one at a time, and returns its error message.
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
  // A ref, because state is only updated by rendering: a double click must send one request.
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
