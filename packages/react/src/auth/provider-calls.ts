import { parseAnswer, type SyncEngine } from "@pylonsync/sync";
import * as v from "valibot";
import { getEngine } from "../client.ts";
import type { AuthCallOptions } from "./calls.ts";

/** An OAuth provider that users may sign in with. */
export interface SignInProvider {
  /** Such as `google`. */
  readonly name: string;
  /** As people know it: `Google`. */
  readonly label: string;
}

const ProvidersSchema = v.array(v.object({ provider: v.string() }));

/**
 * The OAuth providers that the server's `PYLON_OAUTH_...` variables configure.
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

/** Reads the answer of `GET /api/auth/providers`. */
export function toProviders(answer: unknown): readonly SignInProvider[] {
  return parseAnswer(ProvidersSchema, answer).map(({ provider }) => ({
    name: provider,
    label: labelOf(provider),
  }));
}

/** Options of `providerUrl`. */
export interface ProviderUrlOptions extends AuthCallOptions {
  /** Where the sign-in leads to: a URL of the server's origin, or of one that it trusts. */
  readonly callback: string;
  /** Where it leads when nothing comes of it, with `oauth_error` and `oauth_error_message`. */
  readonly errorCallback: string;
}

/**
 * The address that starts a sign-in with an OAuth provider. The browser comes back with the
 * session's cookie.
 *
 * @param name of the provider, such as `google`
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
 * After `oauth_error=MFA_REQUIRED`: the token that `verifySecondFactor` continues with.
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
 * Whether a cookie that the server sets comes back to it: what begins here and ends elsewhere is
 * bound to the browser by one.
 */
export function keepsCookies(sync: SyncEngine): boolean {
  return (
    sync.credentials === "cookie" || new URL(sync.baseUrl).origin === globalThis.location?.origin
  );
}

const LABELS: Readonly<Record<string, string>> = {
  github: "GitHub",
  gitlab: "GitLab",
  linkedin: "LinkedIn",
  paypal: "PayPal",
  tiktok: "TikTok",
};

function labelOf(name: string): string {
  return LABELS[name] ?? `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;
}
