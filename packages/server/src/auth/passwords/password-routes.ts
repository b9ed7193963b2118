import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { networkOf } from "../../util/network.ts";
import { json, JsonAnswer, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { routeTable } from "../../request/route-table.ts";
import type { StoredRow } from "../../store/store.ts";
import type { AuthServices } from "../auth-services.ts";
import { ownUser } from "../users/own-user.ts";
import { asWords } from "../email-sign-in/auth-mails.ts";
import { claimAccount } from "../email-sign-in/by-email.ts";
import { PER_ACCOUNT, requireFresh, requirePassword } from "../sign-in/fresh-sign-in.ts";
import { AuthInput } from "../security/input.ts";
import { CODE_MINUTES } from "../security/one-time-codes.ts";
import { tokenPurpose } from "../security/one-time-tokens.ts";
import { SIGN_UP_MS, type SignUpData } from "./pending-sign-ups.ts";
import { signedInAnswer, type SignedIn } from "../sessions/signed-in.ts";

const MAX_PASSWORD = 1024;
/** The number of guesses from one address, at any account, per time window. */
const PER_ADDRESS = { max: 50, windowSeconds: 15 * 60 };
const TRUSTED = "password on a trusted device";
const RESET_MINUTES = 30;
/** Sign-up mails per time window: requested by one client, and to one address from all clients. */
const SIGN_UP_MAIL = { max: 1, windowSeconds: 60 };
const SIGN_UP_MAILS = { max: 5, windowSeconds: 15 * 60 };
const SIGN_UP_COOKIE = "sign_up";

interface ResetData {
  /** Null for an address without an account: this makes the request take just as long. */
  readonly userId: string | null;
  readonly email: string;
  /** From `sessions.epochOf`: revoking the user's sessions also invalidates the links. */
  readonly epoch: string;
}

const RESET = tokenPurpose<ResetData>("password reset");

/** Sign-up, sign-in, password change and password reset. */
export function passwordRoutes(services: AuthServices): Route[] {
  const { post } = routeTable(services);

  return [
    post("/api/auth/password/register", "anyone", register),
    post("/api/auth/password/register/confirm", "anyone", confirm),
    post("/api/auth/password/login", "anyone", (all, context) =>
      all.outcomes.of(() => login(all, context)),
    ),
    post("/api/auth/password/change", "signed-in", change),
    post("/api/auth/password/reset/request", "anyone", requestReset),
    post("/api/auth/password/reset/complete", "anyone", completeReset),
  ];
}

/**
 * Whether a sign-up must verify its address: if mail can be sent, only a person who receives mail
 * at the address can create an account, so a response reveals nothing about other accounts.
 */
function provesEmail({ mails, settings }: AuthServices): boolean {
  return !settings.dev && mails.canSend;
}

async function register(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { attempts, cookie, mails, passwords, signUps, users } = services;
  const input = await AuthInput.of(context);
  const email = input.email();
  const password = input.text("password", MAX_PASSWORD);
  const displayName = input.optionalText("displayName", 200);
  await attempts.countFrom("register", context.address, PER_ADDRESS);
  await passwords.check(password, email);
  const hash = await passwords.hash(password);
  if (!provesEmail(services))
    return signedInAnswer(await signUp(services, context, email, { hash, displayName }, false));
  await attempts.count("sign-up by client", clientOf(context, email), SIGN_UP_MAIL);
  await attempts.count("sign-up", email, SIGN_UP_MAILS);
  const isTaken = (await users.findByEmail(email)) !== null;
  // Also for a known address, so that it takes as long; that code is not in any mail.
  const { token } = await signUps.begin(email, password, { hash, displayName }, (tx, code) =>
    isTaken
      ? mails.add(tx, "email-taken", email, {})
      : mails.add(tx, "verify-email", email, { code, minutes: CODE_MINUTES }),
  );
  mails.wake();
  return new JsonAnswer({ verification_required: true, email, sign_up_token: token }, 200, {
    "Set-Cookie": [cookie.other(SIGN_UP_COOKIE, token, SIGN_UP_MS)],
  });
}

/** Completes a sign-up after its address was verified. */
async function confirm(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { attempts, audit, cookie, signUps } = services;
  const input = await AuthInput.of(context);
  const email = input.email();
  const code = input.text("code", 64);
  const token = input.optionalText("sign_up_token") ?? (await cookieOf(services, context, email));
  await attempts.countFrom("code", context.address, PER_ADDRESS);
  const data = await audit.codeTry(
    context,
    "sign-up",
    () => Promise.resolve(null),
    () => signUps.confirm(email, code, token),
  );
  await attempts.forget("sign-up by client", clientOf(context, email));
  const signedIn = await signUp(services, context, email, data, true);
  return signedInAnswer({
    ...signedIn,
    cookies: [...signedIn.cookies, cookie.other(SIGN_UP_COOKIE, "", 0)],
  });
}

/** Returns the token in the browser's cookie if it belongs to this sign-up. */
async function cookieOf(
  { cookie, signUps }: AuthServices,
  { request }: RequestContext,
  email: string,
): Promise<string | null> {
  const token = cookie.readOther(request.headers, SIGN_UP_COOKIE);
  return token !== null && (await signUps.isKnown(email, token)) ? token : null;
}

async function signUp(
  { audit, passwords, signIn, users }: AuthServices,
  context: RequestContext,
  email: string,
  { hash, displayName }: SignUpData,
  emailVerified: boolean,
): Promise<SignedIn> {
  const user = await users.create(
    { guestId: signIn.guestOf(context), email, emailVerified, displayName },
    "password",
  );
  await passwords.keep(user, hash);
  await audit.record(context, "sign-up", { userId: user.id, detail: { method: "password" } });
  return signIn.complete(context, { userId: user.id, method: "password" });
}

async function login(
  { attempts, audit, passwords, sessions, signIn, users }: AuthServices,
  context: RequestContext,
): Promise<Answer> {
  const input = await AuthInput.of(context);
  const email = input.email();
  const password = input.text("password", MAX_PASSWORD);
  await attempts.countFrom("password by address", context.address, PER_ADDRESS);
  const found = await users.findByEmail(email);
  // Strangers who guess at an account must not lock its owner out of a device that the owner
  // trusts.
  const kind =
    found !== null && (await signIn.secondFactor.isTrusted(context, found.id))
      ? TRUSTED
      : "password";
  await attempts.count(kind, email, PER_ACCOUNT);
  // Read before the hash: anything that changes the hash also rejects this sign-in.
  const epoch = found === null ? undefined : await sessions.epochOf(found.id);
  const user = found === null ? null : await users.get(found.id);
  if (!(await passwords.matches(user, password)) || user === null) {
    await audit.record(context, "sign-in.refused", {
      userId: user?.id ?? null,
      detail: { method: "password" },
    });
    throw new PylonError("INVALID_CREDENTIALS", "The email address or the password is wrong.");
  }
  await attempts.forget(kind, email);
  return signedInAnswer(
    await signIn.complete(context, {
      userId: user.id,
      method: "password",
      ...(epoch === undefined ? {} : { epoch }),
    }),
  );
}

/**
 * Ends the other sessions and gives this one a new token. A user who has no password yet sets one;
 * this requires a session of the last minutes.
 */
async function change(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { audit, passwords, sessions, signIn } = services;
  const input = await AuthInput.of(context);
  const user = await ownUser(services, context);
  const next = input.textAs("newPassword", ["new_password"], MAX_PASSWORD);
  if (await passwords.has(user))
    await requirePassword(
      services,
      user,
      input.textAs("currentPassword", ["current_password"], MAX_PASSWORD),
      "current_password",
    );
  else await requireFresh(services, context);
  const email = emailOf(user);
  await passwords.check(next, email);
  const hash = await passwords.hash(next);
  const { sessionId } = context.identity;
  await keepPassword(services, user, hash);
  await sessions.endAll(user.id, { except: sessionId });
  await audit.record(context, "password.changed", { userId: user.id });
  await notify(services, user.id, email);
  if (sessionId === null) return json({ changed: true });
  return signedInAnswer(await signIn.refresh(sessionId), 200, { changed: true });
}

async function requestReset(
  { attempts, audit, mails, sessions, settings, tokens, users }: AuthServices,
  context: RequestContext,
): Promise<Answer> {
  const input = await AuthInput.of(context);
  const email = input.email();
  mails.require();
  settings.origins.mailedUrl(context.request);
  const callback = settings.origins.redirectTarget(
    context.request,
    input.optionalText("callback") ?? "/auth/reset",
  );
  await attempts.countFrom("reset by address", context.address, PER_ADDRESS);
  await attempts.count("reset", email, { max: 3, windowSeconds: 15 * 60 });
  const user = await users.findByEmail(email);
  const data: ResetData = {
    userId: user?.id ?? null,
    email,
    epoch: await sessions.epochOf(user?.id ?? ""),
  };
  const token = await tokens.issue(RESET, data, RESET_MINUTES * 60_000, (tx, issued) => {
    const link = new URL(callback);
    // Behind the #, so that neither a server nor a Referer header receives it.
    link.hash = `token=${issued}`;
    const to = user === null ? null : email;
    return mails.add(tx, "reset-password", to, { link: link.href, minutes: RESET_MINUTES });
  });
  mails.wake();
  await audit.record(context, "password.reset-requested", { userId: user?.id ?? null });
  if (user === null) return json({ sent: true });
  return json({ sent: true, ...(settings.dev ? { dev_token: token } : {}) });
}

async function completeReset(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { attempts, audit, passwords, sessions, tokens, users } = services;
  const input = await AuthInput.of(context);
  const token = input.text("token");
  const next = input.textAs("password", ["new_password", "newPassword"], MAX_PASSWORD);
  const known = await tokens.peek(RESET, token);
  const user = known === null || known.userId === null ? null : await users.get(known.userId);
  if (
    known === null ||
    user === null ||
    user["email"] !== known.email ||
    (await sessions.epochOf(user.id)) !== known.epoch
  )
    throw invalidReset();
  await passwords.check(next, known.email);
  const hash = await passwords.hash(next);
  if ((await tokens.take(RESET, token)) === null) throw invalidReset();
  // The person who followed the link receives mail at this address. If the address was not verified
  // before, somebody else may have created the account.
  if (await users.isVerified(user))
    await sessions.withLockedAccount(user.id, () => keepPassword(services, user, hash));
  else
    await claimAccount(services, context, user.id, known.email, () =>
      keepPassword(services, user, hash),
    );
  await attempts.forget("password", known.email);
  await audit.record(context, "password.changed", { userId: user.id });
  await notify(services, user.id, known.email);
  return json({ reset: true });
}

/** A person who knew the old password may also have a device that skips the second factor. */
async function keepPassword(
  { passwords, signIn }: AuthServices,
  user: StoredRow,
  hash: string,
): Promise<void> {
  await signIn.secondFactor.forgetTrustedDevices(user.id);
  await passwords.keep(user, hash);
}

async function notify(
  { apiKeys, mails }: AuthServices,
  userId: string,
  email: string | undefined,
): Promise<void> {
  if (email === undefined) return;
  const names = (await apiKeys.list(userId)).map(({ name }) => `"${asWords(name)}"`);
  const shown = `${names.slice(0, 20).join(", ")}${names.length > 20 ? " and more" : ""}`;
  const stillWork =
    names.length === 0
      ? ""
      : ` Its API keys are still valid: ${shown}. Delete those that you do not recognize.`;
  await mails.notify(email, `The password of your account was changed.${stillWork}`);
}

/** Identifies the client that signs up with this address: clients are limited separately. */
function clientOf({ address }: RequestContext, email: string): string {
  return `${email} ${networkOf(address)}`;
}

function emailOf(user: StoredRow): string | undefined {
  return typeof user["email"] === "string" ? user["email"] : undefined;
}

function invalidReset(): PylonError {
  return new PylonError("INVALID_TOKEN", "This link has been used or has expired.", {
    field: "token",
    hint: "Request a new link.",
  });
}
