import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { json, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import type { AuthServices } from "../auth-services.ts";
import { enterByEmail } from "./by-email.ts";
import { requireOwner } from "../sign-in/fresh-sign-in.ts";
import { AuthInput } from "../security/input.ts";
import { CODE_MINUTES } from "../security/one-time-codes.ts";
import { ownUser } from "../passwords/password-routes.ts";
import { signedInAnswer } from "../sign-in/sign-in.ts";

const PER_ADDRESS = { max: 50, windowSeconds: 15 * 60 };
/** Mails to one address that is not the sender's yet, from all accounts. */
const PER_TARGET = { max: 5, windowSeconds: 60 * 60 };

/** Sign-in by a code in a mail, and the proof that an address is the user's. */
export function emailRoutes(services: AuthServices): Route[] {
  const { users, codes, attempts, mails, audit, settings } = services;

  const sendCode = async (context: RequestContext): Promise<Answer> => {
    const email = (await AuthInput.of(context)).email();
    mails.require();
    await attempts.countFrom("mail by address", context.address, PER_ADDRESS);
    const code = await codes.issue("sign-in", email);
    await mails.send("sign-in-code", email, { code, minutes: CODE_MINUTES });
    return json({ sent: true, email, ...(settings.dev ? { dev_code: code } : {}) });
  };

  const verifyCode = async (context: RequestContext): Promise<Answer> => {
    const input = await AuthInput.of(context);
    const email = input.email();
    const code = input.text("code", 64);
    await attempts.countFrom("code", context.address, PER_ADDRESS);
    await audit.codeTry(
      context,
      "code",
      async () => (await users.findByEmail(email))?.id ?? null,
      () => codes.take("sign-in", email, code),
    );
    return signedInAnswer(await enterByEmail(services, context, email, "code"));
  };

  /**
   * Uses up a code that proves an address. Guesses at an address count together, from however many
   * accounts.
   */
  const takeProof = async (
    context: RequestContext,
    purpose: "verify-email" | "change-email",
    userId: string,
    code: string,
  ): Promise<string> => {
    await attempts.countFrom("code", context.address, PER_ADDRESS);
    const email = await codes.dataOf(purpose, userId);
    return audit.codeTry(
      context,
      purpose,
      () => Promise.resolve(userId),
      () => codes.take(purpose, userId, code, email ?? userId),
    );
  };

  const sendVerification = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    const email = user["email"];
    if (typeof email !== "string")
      throw new PylonError("MISSING_EMAIL", "This user has no e-mail address.", { field: "email" });
    mails.require();
    await attempts.countFrom("mail by address", context.address, PER_ADDRESS);
    await attempts.count("mail to be verified", email, PER_TARGET);
    const code = await codes.issue("verify-email", user.id, email);
    await mails.send("verify-email", email, { code, minutes: CODE_MINUTES });
    return json({ sent: true, ...(settings.dev ? { dev_code: code } : {}) });
  };

  const verify = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    const code = (await AuthInput.of(context)).text("code", 64);
    const email = await takeProof(context, "verify-email", user.id, code);
    if (email !== user["email"])
      throw new PylonError("INVALID_CODE", "The address was changed since this code was sent.", {
        field: "code",
        hint: "Ask for a new code.",
      });
    await users.setVerifiedEmail(user.id, email);
    await audit.record(context, "email.verified", { userId: user.id });
    const verified = await users.get(user.id);
    return json({ verified: true, emailVerified: verified?.["emailVerified"] ?? true });
  };

  const requestChange = async (context: RequestContext): Promise<Answer> => {
    const input = await AuthInput.of(context);
    const user = await ownUser(services, context);
    const email =
      input.optionalText("new_email") === undefined ? input.email() : input.email("new_email");
    mails.require();
    await requireOwner(services, context, input, user);
    await attempts.countFrom("mail by address", context.address, PER_ADDRESS);
    await attempts.count("mail to a new address", email, PER_TARGET);
    const code = await codes.issue("change-email", user.id, email);
    // The answer is the same for an address that is taken; its reader is told.
    if ((await users.findByEmail(email)) !== null) mails.sendSoon("email-taken", email, {});
    else mails.sendSoon("change-email", email, { code, minutes: CODE_MINUTES });
    return json({ sent: true, ...(settings.dev ? { dev_code: code } : {}) });
  };

  const confirmChange = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    const code = (await AuthInput.of(context)).text("code", 64);
    const email = await takeProof(context, "change-email", user.id, code);
    await services.sessions.endAll(user.id, { except: context.identity.sessionId });
    await users.setVerifiedEmail(user.id, email);
    await audit.record(context, "email.changed", { userId: user.id });
    if (typeof user["email"] === "string")
      mails.sendSoon("security-notice", user["email"], {
        notice: "The e-mail address of your account was changed.",
      });
    return json({ changed: true, email });
  };

  return [
    {
      method: "POST",
      path: "/api/auth/magic/send",
      body: "small",
      access: "anyone",
      handle: sendCode,
    },
    {
      method: "POST",
      path: "/api/auth/magic/verify",
      body: "small",
      access: "anyone",
      handle: (context) => services.outcomes.of(() => verifyCode(context)),
    },
    {
      method: "POST",
      path: "/api/auth/email/send-verification",
      body: "small",
      access: "signed-in",
      handle: sendVerification,
    },
    {
      method: "POST",
      path: "/api/auth/email/verify",
      body: "small",
      access: "signed-in",
      handle: verify,
    },
    {
      method: "POST",
      path: "/api/auth/email/change/request",
      body: "small",
      access: "signed-in",
      handle: requestChange,
    },
    {
      method: "POST",
      path: "/api/auth/email/change/confirm",
      body: "small",
      access: "signed-in",
      handle: confirmChange,
    },
  ];
}
