import { providerLabel } from "@pylonsync/protocol";
import { parseAnswer, type SyncEngine } from "@pylonsync/sync";
import * as v from "valibot";
import { getEngine } from "../client.ts";
import type { AuthCallOptions } from "./calls.ts";

/** An OAuth provider for sign-in. */
export interface SignInProvider {
  /** For example `google`. */
  readonly name: string;
  /** The display name: `Google`. */
  readonly label: string;
}

const ProvidersSchema = v.array(v.object({ provider: v.string() }));

/**
 * Lists the OAuth providers that the server's `PYLON_OAUTH_...` variables configure.
 *
 * @throws PylonClientError
 *
 * @example
 * const labels = (await listProviders()).map(({ label }) => label);
 */
export async function listProviders({ sync = getEngine() }: AuthCallOptions = {}): Promise<
  readonly SignInProvider[]
> {
  return toProviders(await sync.request("GET", "/api/auth/providers"));
}

/** Parses the response of `GET /api/auth/providers`. */
export function toProviders(answer: unknown): readonly SignInProvider[] {
  return parseAnswer(ProvidersSchema, answer).map(({ provider }) => ({
    name: provider,
    label: providerLabel(provider),
  }));
}

/** Options of `providerUrl`. */
export interface ProviderUrlOptions extends AuthCallOptions {
  /** Where the sign-in redirects to: a URL of the server's origin, or of a trusted origin. */
  readonly callback: string;
  /** Where it redirects to on failure, with `oauth_error` and `oauth_error_message`. */
  readonly errorCallback: string;
}

/**
 * Returns the URL that starts a sign-in with an OAuth provider. The browser returns with the
 * session's cookie.
 *
 * @param name the provider's name, such as `google`
 *
 * @example
 * location.assign(
 *   providerUrl("google", { callback: location.href, errorCallback: location.href }),
 * );
 */
export function providerUrl(
  name: string,
  { callback, errorCallback, sync = getEngine() }: ProviderUrlOptions,
): string {
  const query = new URLSearchParams({ redirect: "1", callback, error_callback: errorCallback });
  const base = sync.baseUrl.replace(/\/$/, "");
  return `${base}/api/auth/login/${encodeURIComponent(name)}?${query.toString()}`;
}

const PendingSchema = v.object({ mfa_token: v.string() });

/**
 * Returns the token for `verifySecondFactor`, after a redirect with `oauth_error=MFA_REQUIRED`.
 *
 * @throws PylonClientError INVALID_TOKEN
 *
 * @example
 * await verifySecondFactor(await takePendingSignIn(), "123456");
 */
export async function takePendingSignIn({
  sync = getEngine(),
}: AuthCallOptions = {}): Promise<string> {
  return parseAnswer(PendingSchema, await sync.request("POST", "/api/auth/oauth/pending", {}))
    .mfa_token;
}

/**
 * Whether the browser sends the server's cookies back. Flows that end in another page are bound to
 * the browser with a cookie.
 */
export function keepsCookies(sync: SyncEngine): boolean {
  return (
    sync.credentials === "cookie" || new URL(sync.baseUrl).origin === globalThis.location?.origin
  );
}
