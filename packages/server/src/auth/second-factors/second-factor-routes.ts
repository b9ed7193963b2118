import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { json, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import type { StoredRow } from "../../store/store.ts";
import type { AuthServices } from "../auth-services.ts";
import { requireOwner } from "../sign-in/fresh-sign-in.ts";
import { AuthInput } from "../security/input.ts";
import { ownUser } from "../passwords/password-routes.ts";
import { signedInAnswer } from "../sign-in/sign-in.ts";
import type { TotpFactors } from "./totp-factors.ts";
import type { TrustedDevices } from "./trusted-devices.ts";

const PER_USER = { max: 5, windowSeconds: 10 * 60 };

/** Authenticator apps, backup codes and trusted devices. */
export function secondFactorRoutes(
  services: AuthServices,
  totp: TotpFactors,
  devices: TrustedDevices,
): Route[] {
  const { attempts, audit, mails, settings, signIn } = services;

  const notify = (user: StoredRow, notice: string): void => {
    if (typeof user["email"] === "string")
      mails.sendSoon("security-notice", user["email"], { notice });
  };

  /** A code of the app, or a backup code. @throws PylonError INVALID_CODE, RATE_LIMITED */
  const useCode = async (context: RequestContext, userId: string, code: string): Promise<void> => {
    await attempts.count("totp", userId, PER_USER);
    if (!(await totp.useCode(userId, code))) {
      if (!(await totp.isOn(userId)) || !(await totp.useBackupCode(userId, code))) {
        await audit.record(context, "second-factor.refused", { userId });
        throw new PylonError("INVALID_CODE", "This code is wrong, used or too old.", {
          field: "code",
        });
      }
      await audit.record(context, "backup-code.used", { userId });
      const user = await services.users.get(userId);
      if (user !== null) notify(user, "A backup code of your account was used.");
    }
    await attempts.forget("totp", userId);
  };

  const enroll = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    // Else a stolen session could lock the owner out for good.
    await requireOwner(services, context, await AuthInput.of(context), user);
    const { secret, url } = await totp.enroll(
      user.id,
      typeof user["email"] === "string" ? user["email"] : user.id,
      settings.appName(),
    );
    return json({ secret, otpauth_url: url });
  };

  const verify = async (context: RequestContext): Promise<Answer> => {
    const input = await AuthInput.of(context);
    const code = input.text("code", 64);
    const mfaToken = input.optionalText("mfa_token");
    if (mfaToken !== undefined)
      return services.outcomes.of(() =>
        resume(context, mfaToken, code, input.optionalFlag("trust_device")),
      );
    const user = await ownUser(services, context);
    const wasOn = await totp.isOn(user.id);
    await useCode(context, user.id, code);
    if (wasOn) return json({ verified: true });
    const codes = await totp.renewBackupCodes(user.id);
    await audit.record(context, "totp.enabled");
    notify(user, "An authenticator app was added to your account.");
    return json({ enabled: true, backup_codes: codes });
  };

  const resume = async (
    context: RequestContext,
    mfaToken: string,
    code: string,
    trustsDevice: boolean,
  ): Promise<Answer> => {
    const userId = await signIn.pendingUser(mfaToken);
    if (userId === null)
      throw new PylonError("INVALID_TOKEN", "This sign-in is over.", {
        field: "mfa_token",
        hint: "Sign in again.",
      });
    await useCode(context, userId, code);
    const signedIn = await signIn.resume(context, mfaToken, { isTrustedDevice: trustsDevice });
    if (!trustsDevice) return signedInAnswer(signedIn);
    return signedInAnswer({
      ...signedIn,
      cookies: [...signedIn.cookies, await devices.trust(context, userId)],
    });
  };

  const disable = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    await useCode(context, user.id, (await AuthInput.of(context)).text("code", 64));
    await totp.forget(user.id);
    await devices.forget(user.id);
    await audit.record(context, "totp.disabled");
    notify(user, "The authenticator app was removed from your account.");
    return json({ disabled: true });
  };

  const regenerate = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    if (!(await totp.isOn(user.id)))
      throw new PylonError("CONFLICT", "This user has no authenticator app.", {
        hint: "Enroll one first.",
      });
    await useCode(context, user.id, (await AuthInput.of(context)).text("code", 64));
    await audit.record(context, "backup-codes.renewed");
    return json({ backup_codes: await totp.renewBackupCodes(user.id) });
  };

  const listDevices = async (context: RequestContext): Promise<Answer> =>
    json(await devices.list((await ownUser(services, context)).id));

  const endDevices = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    const { length } = await devices.list(user.id);
    await devices.forget(user.id);
    return json({ revoked_count: length });
  };

  const endDevice = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    if (!(await devices.end(user.id, context.param("id"))))
      throw new PylonError("NOT_FOUND", "You trust no such device.", {
        hint: "GET /api/auth/trusted-devices lists them.",
      });
    return json({ revoked: true });
  };

  return [
    {
      method: "POST",
      path: "/api/auth/totp/enroll",
      body: "small",
      access: "signed-in",
      handle: enroll,
    },
    {
      method: "POST",
      path: "/api/auth/totp/verify",
      body: "small",
      access: "anyone",
      handle: verify,
    },
    {
      method: "POST",
      path: "/api/auth/totp/disable",
      body: "small",
      access: "signed-in",
      handle: disable,
    },
    {
      method: "POST",
      path: "/api/auth/totp/backup-codes/regenerate",
      body: "small",
      access: "signed-in",
      handle: regenerate,
    },
    { method: "GET", path: "/api/auth/trusted-devices", access: "signed-in", handle: listDevices },
    {
      method: "DELETE",
      path: "/api/auth/trusted-devices",
      access: "signed-in",
      handle: endDevices,
    },
    {
      method: "DELETE",
      path: "/api/auth/trusted-devices/:id",
      access: "signed-in",
      handle: endDevice,
    },
  ];
}
