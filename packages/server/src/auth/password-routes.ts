import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import type { StoredRow } from "../store/store.ts";
import type { AuthServices } from "./auth-services.ts";
import { AuthInput } from "./input.ts";
import { CODE_MINUTES } from "./one-time-codes.ts";
import { signedInAnswer } from "./sign-in.ts";

const MAX_PASSWORD = 1024;
/** Guesses at one account, from anywhere, and by one address, at any account. */
const PER_ACCOUNT = { max: 10, windowSeconds: 15 * 60 };
const PER_ADDRESS = { max: 50, windowSeconds: 15 * 60 };
const RESET = "password reset";
const RESET_MINUTES = 30;
const SIGN_UP = "sign-up";

interface SignUpData {
  readonly hash: string;
  readonly displayName?: string | undefined;
}

/** Sign-up, sign-in, change and reset by password. */
export function passwordRoutes(services: AuthServices): Route[] {
  const { users, sessions, signIn, passwords, attempts, codes, tokens, mails, audit, settings } = services;
  /** Where mail can be sent, an account is only made by who reads the mail: an answer then tells nothing about other accounts. */
  const provesEmail = (): boolean => !settings.dev && mails.canSend;

  const register = async (context: RequestContext): Promise<Answer> => {
    const input = await AuthInput.of(context);
    const email = input.email();
    const password = input.text("password", MAX_PASSWORD);
    const displayName = input.optionalText("displayName", 200);
    await attempts.count("register", context.address, PER_ADDRESS);
    await passwords.check(password, email);
    const hash = await passwords.hash(password);
    if (!provesEmail()) return signedInAnswer(await signUp(context, email, { hash, displayName }, false));
    if ((await users.findByEmail(email)) !== null) {
      mails.sendSoon("email-taken", email, {});
    } else {
      const code = await codes.issue(SIGN_UP, email, JSON.stringify({ hash, displayName } satisfies SignUpData));
      mails.sendSoon("verify-email", email, { code, minutes: CODE_MINUTES });
    }
    return json({ verification_required: true, email });
  };

  /** Ends a sign-up whose address had to be proved first. */
  const confirm = async (context: RequestContext): Promise<Answer> => {
    const input = await AuthInput.of(context);
    const email = input.email();
    const code = input.text("code", 64);
    await attempts.count("code", context.address, PER_ADDRESS);
    const data = JSON.parse(await codes.take(SIGN_UP, email, code)) as SignUpData;
    return signedInAnswer(await signUp(context, email, data, true));
  };

  const signUp = async (context: RequestContext, email: string, { hash, displayName }: SignUpData, emailVerified: boolean): ReturnType<typeof signIn.complete> => {
    const user = await users.create({ id: signIn.newUserId(context), email, emailVerified, displayName }, "password");
    await passwords.keep(user, hash);
    await audit.record(context, "sign-up", { userId: user.id, detail: { method: "password" } });
    return signIn.complete(context, { userId: user.id, method: "password" });
  };

  const login = async (context: RequestContext): Promise<Answer> => {
    const input = await AuthInput.of(context);
    const email = input.email();
    const password = input.text("password", MAX_PASSWORD);
    await attempts.count("password by address", context.address, PER_ADDRESS);
    await attempts.count("password", email, PER_ACCOUNT);
    const user = await users.findByEmail(email);
    if (!(await passwords.matches(user, password)) || user === null) {
      await audit.record(context, "sign-in.refused", { userId: user?.id ?? null, detail: { method: "password" } });
      throw new PylonError("INVALID_CREDENTIALS", "E-mail or password is wrong.");
    }
    await attempts.forget("password", email);
    return signedInAnswer(await signIn.complete(context, { userId: user.id, method: "password" }));
  };

  /** The other sessions end. Who has no password yet, but a session, sets one. */
  const change = async (context: RequestContext): Promise<Answer> => {
    const input = await AuthInput.of(context);
    const user = await ownUser(services, context);
    const next = input.optionalText("new_password", MAX_PASSWORD) ?? input.text("newPassword", MAX_PASSWORD);
    await attempts.count("password", user.id, PER_ACCOUNT);
    if (await passwords.has(user)) {
      const current = input.optionalText("current_password", MAX_PASSWORD) ?? input.text("currentPassword", MAX_PASSWORD);
      if (!(await passwords.matches(user, current))) throw new PylonError("INVALID_CREDENTIALS", "The current password is wrong.", { field: "current_password" });
    }
    await setPassword(context, user, next, context.identity.sessionId);
    await attempts.forget("password", user.id);
    return json({ changed: true });
  };

  const requestReset = async (context: RequestContext): Promise<Answer> => {
    const input = await AuthInput.of(context);
    const email = input.email();
    mails.require();
    settings.origins.mailedUrl(context.request);
    const callback = settings.origins.redirectTarget(context.request, input.optionalText("callback") ?? "/auth/reset");
    await attempts.count("reset by address", context.address, PER_ADDRESS);
    await attempts.count("reset", email, { max: 3, windowSeconds: 15 * 60 });
    const user = await users.findByEmail(email);
    if (user === null) return json({ sent: true });
    const token = await tokens.issue(RESET, { userId: user.id, email }, RESET_MINUTES * 60_000);
    const link = new URL(callback);
    // Behind the #, so that no server and no Referer header gets it.
    link.hash = `token=${token}`;
    mails.sendSoon("reset-password", email, { link: link.href, minutes: RESET_MINUTES });
    return json({ sent: true, ...(settings.dev ? { dev_token: token } : {}) });
  };

  const completeReset = async (context: RequestContext): Promise<Answer> => {
    const input = await AuthInput.of(context);
    const token = input.text("token");
    const next = input.optionalText("new_password", MAX_PASSWORD) ?? input.text("password", MAX_PASSWORD);
    const known = (await tokens.peek(RESET, token)) as { readonly userId: string; readonly email: string } | null;
    const user = known === null ? null : await users.get(known.userId);
    if (known === null || user === null || user["email"] !== known.email) throw invalidReset();
    await passwords.check(next, known.email);
    if ((await tokens.take(RESET, token)) === null) throw invalidReset();
    await setPassword(context, user, next, null);
    // Who followed the link reads the mail of this address.
    await users.setVerifiedEmail(user.id, known.email);
    await attempts.forget("password", known.email);
    return json({ reset: true });
  };

  const setPassword = async (context: RequestContext, user: StoredRow, password: string, keptSession: string | null): Promise<void> => {
    const email = typeof user["email"] === "string" ? user["email"] : undefined;
    await passwords.check(password, email);
    await passwords.keep(user, await passwords.hash(password));
    await sessions.endAll(user.id, { except: keptSession });
    await audit.record(context, "password.changed", { userId: user.id });
    if (email !== undefined) mails.sendSoon("security-notice", email, { notice: "The password of your account was changed." });
  };

  return [
    { method: "POST", path: "/api/auth/password/register", access: "anyone", handle: register },
    { method: "POST", path: "/api/auth/password/register/confirm", access: "anyone", handle: confirm },
    { method: "POST", path: "/api/auth/password/login", access: "anyone", handle: (context) => services.outcomes.of(() => login(context)) },
    { method: "POST", path: "/api/auth/password/change", access: "signed-in", handle: change },
    { method: "POST", path: "/api/auth/password/reset/request", access: "anyone", handle: requestReset },
    { method: "POST", path: "/api/auth/password/reset/complete", access: "anyone", handle: completeReset },
  ];
}

/** The row of who is calling. @throws PylonError AUTH_REQUIRED for a guest and for the admin token */
export async function ownUser({ users }: AuthServices, { caller }: RequestContext): Promise<StoredRow> {
  const user = caller.userId === null || caller.isGuest ? null : await users.get(caller.userId);
  if (user === null) throw new PylonError("AUTH_REQUIRED", "Only a signed-in user may do this.", { hint: "Sign in." });
  return user;
}

function invalidReset(): PylonError {
  return new PylonError("INVALID_TOKEN", "This link was used or is too old.", { field: "token", hint: "Ask for a new one." });
}
