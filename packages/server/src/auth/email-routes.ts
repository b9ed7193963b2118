import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import type { AuthServices } from "./auth-services.ts";
import { AuthInput } from "./input.ts";
import { CODE_MINUTES } from "./one-time-codes.ts";
import { ownUser } from "./password-routes.ts";
import { signedInAnswer } from "./sign-in.ts";

const PER_ADDRESS = { max: 50, windowSeconds: 15 * 60 };
const LINK_MINUTES = 15;
const LINK = "magic link";

interface LinkData {
  readonly email: string;
  readonly callback: string;
}

/** Sign-in by a code or a link in a mail, and the proof that an address is the user's. */
export function emailRoutes(services: AuthServices): Route[] {
  const { users, signIn, codes, tokens, attempts, mails, audit, settings } = services;

  /** Signs in whoever reads the mail of this address; a new address is a new user. */
  const enter = async (context: RequestContext, email: string, method: "code" | "link"): ReturnType<typeof signIn.complete> => {
    const known = await users.findByEmail(email);
    if (known !== null) {
      if (!(await users.isVerified(known))) await claim(context, known.id, email);
      return signIn.complete(context, { userId: known.id, method });
    }
    const user = await users.create({ id: signIn.newUserId(context), email, emailVerified: true }, method);
    await audit.record(context, "sign-up", { userId: user.id, detail: { method } });
    return signIn.complete(context, { userId: user.id, method });
  };

  /** Somebody made an account with an address that was not theirs to prove: what they can still open it with is taken from them. */
  const claim = async (context: RequestContext, userId: string, email: string): Promise<void> => {
    await services.credentials.forgetAll(userId);
    await services.sessions.endAll(userId);
    await users.setVerifiedEmail(userId, email);
    await audit.record(context, "email.verified", { userId });
  };

  const sendCode = async (context: RequestContext): Promise<Answer> => {
    const email = (await AuthInput.of(context)).email();
    mails.require();
    await attempts.count("mail by address", context.address, PER_ADDRESS);
    const code = await codes.issue("sign-in", email);
    await mails.send("sign-in-code", email, { code, minutes: CODE_MINUTES });
    return json({ sent: true, email, ...(settings.dev ? { dev_code: code } : {}) });
  };

  const verifyCode = async (context: RequestContext): Promise<Answer> => {
    const input = await AuthInput.of(context);
    const email = input.email();
    const code = input.text("code", 64);
    await attempts.count("code", context.address, PER_ADDRESS);
    await codes.take("sign-in", email, code);
    return signedInAnswer(await enter(context, email, "code"));
  };

  const sendLink = async (context: RequestContext): Promise<Answer> => {
    const input = await AuthInput.of(context);
    const email = input.email();
    mails.require();
    const mailedUrl = settings.origins.mailedUrl(context.request);
    const callback = settings.origins.redirectTarget(context.request, input.optionalText("callback") ?? "/");
    await attempts.count("mail by address", context.address, PER_ADDRESS);
    await attempts.count("link", email, { max: 3, windowSeconds: 10 * 60 });
    const data: LinkData = { email, callback };
    const token = await tokens.issue(LINK, data, LINK_MINUTES * 60_000);
    const link = `${mailedUrl}/api/auth/magic-link/verify?token=${token}`;
    await mails.send("magic-link", email, { link, minutes: LINK_MINUTES });
    return json({ sent: true, email, ...(settings.dev ? { dev_link: link } : {}) });
  };

  const followLink = async (context: RequestContext): Promise<Answer> => {
    await attempts.count("link by address", context.address, PER_ADDRESS);
    const data = (await tokens.take(LINK, context.query("token") ?? "")) as LinkData | null;
    if (data === null) throw new PylonError("INVALID_TOKEN", "This link was used or is too old.", { field: "token", hint: "Ask for a new one." });
    const { cookies } = await enter(context, data.email, "link");
    const headers = new Headers({ Location: data.callback, "Cache-Control": "no-store" });
    for (const value of cookies) headers.append("Set-Cookie", value);
    return new Response(null, { status: 302, headers });
  };

  const sendVerification = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    const email = user["email"];
    if (typeof email !== "string") throw new PylonError("MISSING_EMAIL", "This user has no e-mail address.", { field: "email" });
    mails.require();
    const code = await codes.issue("verify-email", user.id, email);
    await mails.send("verify-email", email, { code, minutes: CODE_MINUTES });
    return json({ sent: true, ...(settings.dev ? { dev_code: code } : {}) });
  };

  const verify = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    const code = (await AuthInput.of(context)).text("code", 64);
    const email = await codes.take("verify-email", user.id, code);
    if (email !== user["email"]) throw new PylonError("INVALID_CODE", "The address was changed since this code was sent.", { field: "code", hint: "Ask for a new code." });
    await users.setVerifiedEmail(user.id, email);
    await audit.record(context, "email.verified", { userId: user.id });
    const verified = await users.get(user.id);
    return json({ verified: true, emailVerified: verified?.["emailVerified"] ?? true });
  };

  const requestChange = async (context: RequestContext): Promise<Answer> => {
    const input = await AuthInput.of(context);
    const user = await ownUser(services, context);
    const email = input.optionalText("new_email") === undefined ? input.email() : input.email("new_email");
    mails.require();
    await attempts.count("mail by address", context.address, PER_ADDRESS);
    const code = await codes.issue("change-email", user.id, email);
    // The answer is the same for an address that is taken; its reader is told.
    if ((await users.findByEmail(email)) !== null) mails.sendSoon("email-taken", email, {});
    else mails.sendSoon("change-email", email, { code, minutes: CODE_MINUTES });
    return json({ sent: true, ...(settings.dev ? { dev_code: code } : {}) });
  };

  const confirmChange = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    const code = (await AuthInput.of(context)).text("code", 64);
    const email = await codes.take("change-email", user.id, code);
    await users.setVerifiedEmail(user.id, email);
    await services.sessions.endAll(user.id, { except: context.identity.sessionId });
    await audit.record(context, "email.changed", { userId: user.id });
    if (typeof user["email"] === "string") mails.sendSoon("security-notice", user["email"], { notice: "The e-mail address of your account was changed." });
    return json({ changed: true, email });
  };

  return [
    { method: "POST", path: "/api/auth/magic/send", access: "anyone", handle: sendCode },
    { method: "POST", path: "/api/auth/magic/verify", access: "anyone", handle: (context) => services.outcomes.of(() => verifyCode(context)) },
    { method: "POST", path: "/api/auth/magic-link/send", access: "anyone", handle: sendLink },
    { method: "GET", path: "/api/auth/magic-link/verify", access: "anyone", handle: (context) => services.outcomes.of(() => followLink(context)) },
    { method: "POST", path: "/api/auth/email/send-verification", access: "signed-in", handle: sendVerification },
    { method: "POST", path: "/api/auth/email/verify", access: "signed-in", handle: verify },
    { method: "POST", path: "/api/auth/email/change/request", access: "signed-in", handle: requestChange },
    { method: "POST", path: "/api/auth/email/change/confirm", access: "signed-in", handle: confirmChange },
  ];
}
