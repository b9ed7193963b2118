import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { json, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { routeTable } from "../../request/route-table.ts";
import type { AuthServices } from "../auth-services.ts";
import { enterByEmail } from "./by-email.ts";
import { requireOwner } from "../sign-in/fresh-sign-in.ts";
import { AuthInput } from "../security/input.ts";
import { CODE_MINUTES } from "../security/one-time-codes.ts";
import { ownUser } from "../users/own-user.ts";
import { signedInAnswer } from "../sessions/signed-in.ts";

const PER_ADDRESS = { max: 50, windowSeconds: 15 * 60 };
/** Mails to one address that its sender has not verified, from all accounts, per time window. */
const PER_TARGET = { max: 5, windowSeconds: 60 * 60 };

/** Sign-in by a mailed code, and the verification of a user's address. */
export function emailRoutes(services: AuthServices): Route[] {
  const { post } = routeTable(services);

  return [
    post("/api/auth/magic/send", "anyone", sendCode),
    post("/api/auth/magic/verify", "anyone", (all, context) =>
      all.outcomes.of(() => verifyCode(all, context)),
    ),
    post("/api/auth/email/send-verification", "signed-in", sendVerification),
    post("/api/auth/email/verify", "signed-in", verify),
    post("/api/auth/email/change/request", "signed-in", requestChange),
    post("/api/auth/email/change/confirm", "signed-in", confirmChange),
  ];
}

async function sendCode(
  { attempts, codes, mails, settings }: AuthServices,
  context: RequestContext,
): Promise<Answer> {
  const email = (await AuthInput.of(context)).email();
  mails.require();
  await attempts.countFrom("mail by address", context.address, PER_ADDRESS);
  const code = await codes.issue("sign-in", email, "", (tx, issued) =>
    mails.add(tx, "sign-in-code", email, { code: issued, minutes: CODE_MINUTES }),
  );
  mails.wake();
  return json({ sent: true, email, ...(settings.dev ? { dev_code: code } : {}) });
}

async function verifyCode(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { attempts, audit, codes, users } = services;
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
}

/**
 * Consumes a code that verifies an address. Guesses for one address are counted together, over all
 * accounts.
 */
async function takeProof(
  { attempts, audit, codes }: AuthServices,
  context: RequestContext,
  purpose: "verify-email" | "change-email",
  userId: string,
  code: string,
): Promise<string> {
  await attempts.countFrom("code", context.address, PER_ADDRESS);
  const email = await codes.dataOf(purpose, userId);
  return audit.codeTry(
    context,
    purpose,
    () => Promise.resolve(userId),
    () => codes.take(purpose, userId, code, email ?? userId),
  );
}

async function sendVerification(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { attempts, codes, mails, settings } = services;
  const user = await ownUser(services, context);
  const email = user["email"];
  if (typeof email !== "string")
    throw new PylonError("MISSING_EMAIL", "This user has no email address.", { field: "email" });
  mails.require();
  await attempts.countFrom("mail by address", context.address, PER_ADDRESS);
  await attempts.count("mail to be verified", email, PER_TARGET);
  const code = await codes.issue("verify-email", user.id, email, (tx, issued) =>
    mails.add(tx, "verify-email", email, { code: issued, minutes: CODE_MINUTES }),
  );
  mails.wake();
  return json({ sent: true, ...(settings.dev ? { dev_code: code } : {}) });
}

async function verify(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { audit, users } = services;
  const user = await ownUser(services, context);
  const code = (await AuthInput.of(context)).text("code", 64);
  const email = await takeProof(services, context, "verify-email", user.id, code);
  if (email !== user["email"])
    throw new PylonError(
      "INVALID_CODE",
      "The email address has changed since this code was sent.",
      {
        field: "code",
        hint: "Request a new code.",
      },
    );
  await users.setVerifiedEmail(user.id, email);
  await audit.record(context, "email.verified", { userId: user.id });
  const verified = await users.get(user.id);
  return json({ verified: true, emailVerified: verified?.["emailVerified"] ?? true });
}

async function requestChange(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { attempts, codes, mails, settings, users } = services;
  const input = await AuthInput.of(context);
  const user = await ownUser(services, context);
  const email = input.email("new_email", ["newEmail", "email"]);
  mails.require();
  await requireOwner(services, context, input, user);
  await attempts.countFrom("mail by address", context.address, PER_ADDRESS);
  await attempts.count("mail to a new address", email, PER_TARGET);
  // The response is the same for an address that is taken; the mail tells its reader.
  const isTaken = (await users.findByEmail(email)) !== null;
  const code = await codes.issue("change-email", user.id, email, (tx, issued) =>
    isTaken
      ? mails.add(tx, "email-taken", email, {})
      : mails.add(tx, "change-email", email, { code: issued, minutes: CODE_MINUTES }),
  );
  mails.wake();
  return json({ sent: true, ...(settings.dev ? { dev_code: code } : {}) });
}

async function confirmChange(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { audit, mails, users } = services;
  const user = await ownUser(services, context);
  const code = (await AuthInput.of(context)).textAs("code", ["token"], 64);
  const email = await takeProof(services, context, "change-email", user.id, code);
  await services.sessions.endAll(user.id, { except: context.identity.sessionId });
  await users.setVerifiedEmail(user.id, email);
  await audit.record(context, "email.changed", { userId: user.id });
  if (typeof user["email"] === "string")
    await mails.notify(user["email"], "The email address of your account was changed.");
  return json({ changed: true, email });
}
