import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { json, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { routeTable } from "../../request/route-table.ts";
import type { StoredRow } from "../../store/store.ts";
import type { AuthServices } from "../auth-services.ts";
import { requireOwner } from "../sign-in/fresh-sign-in.ts";
import { AuthInput } from "../security/input.ts";
import { ownUser } from "../users/own-user.ts";
import { signedInAnswer } from "../sessions/signed-in.ts";
import type { TotpFactors } from "./totp-factors.ts";
import type { TrustedDevices } from "./trusted-devices.ts";

const PER_USER = { max: 5, windowSeconds: 10 * 60 };

/** The services that the second-factor routes need. */
export interface SecondFactorServices extends AuthServices {
  readonly totp: TotpFactors;
  readonly devices: TrustedDevices;
}

/** The routes of authenticator apps, backup codes and trusted devices. */
export function secondFactorRoutes(services: SecondFactorServices): Route[] {
  const { get, post, del } = routeTable(services);

  return [
    post("/api/auth/totp/enroll", "signed-in", enroll),
    post("/api/auth/totp/verify", "anyone", verify),
    post("/api/auth/totp/disable", "signed-in", disable),
    post("/api/auth/totp/backup-codes/regenerate", "signed-in", regenerate),
    get("/api/auth/trusted-devices", "signed-in", listDevices),
    del("/api/auth/trusted-devices", "signed-in", endDevices),
    del("/api/auth/trusted-devices/:id", "signed-in", endDevice),
  ];
}

async function notify(
  { mails }: SecondFactorServices,
  user: StoredRow,
  notice: string,
): Promise<void> {
  if (typeof user["email"] === "string") await mails.notify(user["email"], notice);
}

/** Consumes an app's or a backup code. @throws PylonError INVALID_CODE, RATE_LIMITED */
async function useCode(
  services: SecondFactorServices,
  context: RequestContext,
  userId: string,
  code: string,
): Promise<void> {
  const { attempts, audit, totp } = services;
  await attempts.count("totp", userId, PER_USER);
  if (!(await totp.useCode(userId, code))) {
    if (!(await totp.isOn(userId)) || !(await totp.useBackupCode(userId, code))) {
      await audit.record(context, "second-factor.refused", { userId });
      throw new PylonError("INVALID_CODE", "This code is wrong, has been used or has expired.", {
        field: "code",
      });
    }
    await audit.record(context, "backup-code.used", { userId });
    const user = await services.users.get(userId);
    if (user !== null) await notify(services, user, "A backup code of your account was used.");
  }
  await attempts.forget("totp", userId);
}

async function enroll(services: SecondFactorServices, context: RequestContext): Promise<Answer> {
  const { settings, totp } = services;
  const user = await ownUser(services, context);
  // Otherwise a stolen session could lock the owner out permanently.
  await requireOwner(services, context, await AuthInput.of(context), user);
  const { secret, url } = await totp.enroll(
    user.id,
    typeof user["email"] === "string" ? user["email"] : user.id,
    settings.appName(),
  );
  return json({ secret, otpauth_url: url });
}

async function verify(services: SecondFactorServices, context: RequestContext): Promise<Answer> {
  const { audit, totp } = services;
  const input = await AuthInput.of(context);
  const code = input.text("code", 64);
  const mfaToken = input.optionalText("mfa_token");
  if (mfaToken !== undefined)
    return services.outcomes.of(() =>
      resume(services, context, mfaToken, code, input.optionalFlag("trust_device")),
    );
  const user = await ownUser(services, context);
  const wasOn = await totp.isOn(user.id);
  await useCode(services, context, user.id, code);
  if (wasOn) return json({ verified: true });
  const codes = await totp.renewBackupCodes(user.id);
  await audit.record(context, "totp.enabled");
  await notify(services, user, "An authenticator app was added to your account.");
  return json({ enabled: true, backup_codes: codes });
}

async function resume(
  services: SecondFactorServices,
  context: RequestContext,
  mfaToken: string,
  code: string,
  trustsDevice: boolean,
): Promise<Answer> {
  const { devices, signIn } = services;
  const userId = await signIn.pendingUser(mfaToken);
  if (userId === null)
    throw new PylonError("INVALID_TOKEN", "This sign-in has ended or expired.", {
      field: "mfa_token",
      hint: "Sign in again.",
    });
  await useCode(services, context, userId, code);
  const signedIn = await signIn.resume(context, mfaToken, { isTrustedDevice: trustsDevice });
  if (!trustsDevice) return signedInAnswer(signedIn);
  return signedInAnswer({
    ...signedIn,
    cookies: [...signedIn.cookies, await devices.trust(context, userId)],
  });
}

async function disable(services: SecondFactorServices, context: RequestContext): Promise<Answer> {
  const { audit, devices, totp } = services;
  const user = await ownUser(services, context);
  await useCode(services, context, user.id, (await AuthInput.of(context)).text("code", 64));
  await totp.forget(user.id);
  await devices.forget(user.id);
  await audit.record(context, "totp.disabled");
  await notify(services, user, "The authenticator app was removed from your account.");
  return json({ disabled: true });
}

async function regenerate(
  services: SecondFactorServices,
  context: RequestContext,
): Promise<Answer> {
  const { audit, totp } = services;
  const user = await ownUser(services, context);
  if (!(await totp.isOn(user.id)))
    throw new PylonError("CONFLICT", "This user has no authenticator app.", {
      hint: "Enroll one first.",
    });
  await useCode(services, context, user.id, (await AuthInput.of(context)).text("code", 64));
  await audit.record(context, "backup-codes.renewed");
  return json({ backup_codes: await totp.renewBackupCodes(user.id) });
}

async function listDevices(
  services: SecondFactorServices,
  context: RequestContext,
): Promise<Answer> {
  const { devices } = services;
  return json(await devices.list((await ownUser(services, context)).id));
}

async function endDevices(
  services: SecondFactorServices,
  context: RequestContext,
): Promise<Answer> {
  const { devices } = services;
  const user = await ownUser(services, context);
  const { length } = await devices.list(user.id);
  await devices.forget(user.id);
  return json({ revoked_count: length });
}

async function endDevice(services: SecondFactorServices, context: RequestContext): Promise<Answer> {
  const { devices } = services;
  const user = await ownUser(services, context);
  if (!(await devices.end(user.id, context.param("id"))))
    throw new PylonError("NOT_FOUND", "You have no trusted device with this id.", {
      hint: "GET /api/auth/trusted-devices lists your devices.",
    });
  return json({ revoked: true });
}
