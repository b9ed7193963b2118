import { parseAnswer } from "@pylonsync/sync";
import * as v from "valibot";
import { getEngine } from "../client.ts";
import type { AuthCallOptions } from "./calls.ts";

/** A connected OAuth account. */
export interface LinkedAccount {
  readonly id: string;
  /** For example `google`. */
  readonly provider: string;
  /** The email address at the provider, if the provider shares it. */
  readonly email: string | null;
}

const AccountsSchema = v.array(
  v.object({ id: v.string(), provider: v.string(), email: v.nullish(v.string()) }),
);

/**
 * Lists the user's connected OAuth accounts.
 *
 * @throws PylonClientError
 *
 * @example
 * const providers = (await listLinkedAccounts()).map(({ provider }) => provider);
 */
export async function listLinkedAccounts({ sync = getEngine() }: AuthCallOptions = {}): Promise<
  readonly LinkedAccount[]
> {
  const accounts = parseAnswer(AccountsSchema, await sync.request("GET", "/api/auth/accounts"));
  return accounts.map(({ id, provider, email }) => ({ id, provider, email: email ?? null }));
}

/**
 * Disconnects an OAuth account. The last sign-in method can't be removed.
 *
 * @throws PylonClientError ACCOUNT_NOT_FOUND, LAST_SIGN_IN
 *
 * @example
 * const [account] = await listLinkedAccounts();
 * if (account !== undefined) await unlinkAccount(account.id);
 */
export async function unlinkAccount(
  id: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<void> {
  await sync.request("DELETE", `/api/auth/accounts/${encodeURIComponent(id)}`);
}

/** Options of `linkAccount`. */
export interface LinkAccountOptions extends AuthCallOptions {
  /** Where the browser returns to: a URL of the server's origin, or of a trusted origin. */
  readonly callback: string;
  /** Where the browser returns to on failure, with `oauth_error`. */
  readonly errorCallback: string;
  /** Required if the last sign-in was more than ten minutes ago. */
  readonly password?: string;
}

const RedirectSchema = v.object({ redirect: v.string() });

/**
 * Starts connecting an OAuth account to the signed-in user.
 *
 * @returns the URL of the provider's consent page
 * @throws PylonClientError FRESH_SIGN_IN_REQUIRED, INVALID_CREDENTIALS, PROVIDER_NOT_FOUND
 *
 * @example
 * const here = location.href;
 * location.assign(await linkAccount("github", { callback: here, errorCallback: here }));
 */
export async function linkAccount(
  provider: string,
  { callback, errorCallback, password, sync = getEngine() }: LinkAccountOptions,
): Promise<string> {
  const body = {
    callback,
    error_callback: errorCallback,
    ...(password === undefined ? {} : { password }),
  };
  const path = `/api/auth/oauth/link/${encodeURIComponent(provider)}`;
  return parseAnswer(RedirectSchema, await sync.request("POST", path, body)).redirect;
}
