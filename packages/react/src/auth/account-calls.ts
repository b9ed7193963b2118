import { isSignedIn } from "@pylonsync/protocol";
import { parseAnswer } from "@pylonsync/sync";
import * as v from "valibot";
import { getEngine } from "../client.ts";
import type { AuthCallOptions } from "./calls.ts";

/** A device on which the user is signed in. */
export interface Device {
  readonly id: string;
  /** For example `Firefox on Windows`. */
  readonly name: string;
  readonly isCurrent: boolean;
  readonly seenAt: Date;
}

const DevicesSchema = v.array(
  v.object({
    id: v.string(),
    device: v.nullish(v.string()),
    current: v.boolean(),
    seen_at: v.string(),
  }),
);

/**
 * Lists the sessions of the user, one per device.
 *
 * @throws PylonClientError
 *
 * @example
 * for (const { id, name, isCurrent } of await listDevices()) console.log(id, name, isCurrent);
 */
export async function listDevices({ sync = getEngine() }: AuthCallOptions = {}): Promise<
  readonly Device[]
> {
  const sessions = parseAnswer(DevicesSchema, await sync.request("GET", "/api/auth/sessions"));
  return sessions.map(({ id, device, current, seen_at: seenAt }) => ({
    id,
    name: nameOf(device ?? ""),
    isCurrent: current,
    seenAt: new Date(seenAt),
  }));
}

/**
 * Signs out one device; its connections are closed within a second.
 *
 * @throws PylonClientError NOT_FOUND
 *
 * @example
 * const [device] = await listDevices();
 * if (device !== undefined) await signOutDevice(device.id);
 */
export async function signOutDevice(
  id: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<void> {
  await sync.request("DELETE", `/api/auth/sessions/${encodeURIComponent(id)}`);
}

/**
 * Signs out all other devices.
 *
 * @throws PylonClientError
 *
 * @example
 * await signOutOtherDevices();
 */
export async function signOutOtherDevices({
  sync = getEngine(),
}: AuthCallOptions = {}): Promise<void> {
  await sync.request("DELETE", "/api/auth/sessions?others=1");
}

/**
 * Changes the password, or sets the first one, which requires a sign-in within the last ten
 * minutes. Other devices are signed out, and this one gets a new token.
 *
 * @param current null: the user has no password yet
 * @throws PylonClientError INVALID_CREDENTIALS, WEAK_PASSWORD, FRESH_SIGN_IN_REQUIRED
 *
 * @example
 * await changePassword("correct horse", "battery staple");
 */
export async function changePassword(
  current: string | null,
  next: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<void> {
  const answer = await sync.request("POST", "/api/auth/password/change", {
    new_password: next,
    ...(current === null ? {} : { current_password: current }),
  });
  if (isSignedIn(answer)) sync.setToken(answer.token);
}

/**
 * Deletes the user and the rows that belong to the user.
 *
 * @param password null: requires a sign-in within the last ten minutes
 * @throws PylonClientError INVALID_CREDENTIALS, FRESH_SIGN_IN_REQUIRED
 *
 * @example
 * await deleteAccount("correct horse");
 */
export async function deleteAccount(
  password: string | null,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<void> {
  await sync.request("DELETE", "/api/auth/account", password === null ? {} : { password });
  sync.setToken(null);
}

/** The methods with which the user can prove their identity. */
export interface AccountProofs {
  readonly hasPassword: boolean;
  readonly hasPasskey: boolean;
  /** Whether sign-in also requires a code from an authenticator app. */
  readonly hasAuthenticator: boolean;
  /** Whether a code can be sent by email. */
  readonly hasEmailCode: boolean;
  /** The connected OAuth accounts, by the names of their providers. */
  readonly providers: readonly string[];
  /** Whether the user signed in within the last ten minutes. */
  readonly isFresh: boolean;
}

const ProofsSchema = v.object({
  has_password: v.boolean(),
  has_passkey: v.boolean(),
  has_authenticator: v.boolean(),
  has_email_code: v.boolean(),
  providers: v.array(v.string()),
  is_fresh: v.boolean(),
});

/**
 * Returns the proofs of identity that `deleteAccount` can use.
 *
 * @throws PylonClientError
 *
 * @example
 * const { hasPassword, isFresh } = await getAccountProofs();
 */
export async function getAccountProofs({
  sync = getEngine(),
}: AuthCallOptions = {}): Promise<AccountProofs> {
  const found = v.parse(ProofsSchema, await sync.request("GET", "/api/auth/account"));
  return {
    hasPassword: found.has_password,
    hasPasskey: found.has_passkey,
    hasAuthenticator: found.has_authenticator,
    hasEmailCode: found.has_email_code,
    providers: found.providers,
    isFresh: found.is_fresh,
  };
}

const EnrolledSchema = v.object({ secret: v.string(), otpauth_url: v.string() });
const BackupCodesSchema = v.object({ backup_codes: v.array(v.string()) });

/**
 * Starts adding an authenticator app. Requires a sign-in within the last ten minutes, or the
 * password.
 *
 * @returns the secret, and the URL for a QR code
 * @throws PylonClientError FRESH_SIGN_IN_REQUIRED, INVALID_CREDENTIALS
 *
 * @example
 * const { secret, url } = await enrollAuthenticator({ password: "correct horse" });
 */
export async function enrollAuthenticator({
  sync = getEngine(),
  password,
}: { readonly password?: string } & AuthCallOptions = {}): Promise<{
  readonly secret: string;
  readonly url: string;
}> {
  const { secret, otpauth_url: url } = parseAnswer(
    EnrolledSchema,
    await sync.request("POST", "/api/auth/totp/enroll", password === undefined ? {} : { password }),
  );
  return { secret, url };
}

/**
 * Completes `enrollAuthenticator` with the first code from the app.
 *
 * @returns backup codes in case the app is lost; they are shown only once
 * @throws PylonClientError INVALID_CODE
 *
 * @example
 * const backupCodes = await confirmAuthenticator("123456");
 */
export async function confirmAuthenticator(
  code: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<readonly string[]> {
  return parseAnswer(
    BackupCodesSchema,
    await sync.request("POST", "/api/auth/totp/verify", { code }),
  ).backup_codes;
}

/**
 * Removes the authenticator app.
 *
 * @param code a code from the app, or a backup code
 * @throws PylonClientError INVALID_CODE
 *
 * @example
 * await removeAuthenticator("123456");
 */
export async function removeAuthenticator(
  code: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<void> {
  await sync.request("POST", "/api/auth/totp/disable", { code });
}

/** Returns a readable name for a `User-Agent`. */
function nameOf(agent: string): string {
  const program = /Edg|OPR|Firefox|Chrome|Safari/.exec(agent)?.[0] ?? "";
  const system = /iPhone|iPad|Android|Windows|Mac OS|Linux/.exec(agent)?.[0] ?? "";
  const known = [PROGRAMS[program] ?? program, system].filter((part) => part !== "").join(" on ");
  return known || agent.slice(0, 40) || "Unknown device";
}

const PROGRAMS: Readonly<Record<string, string>> = { Edg: "Edge", OPR: "Opera" };
