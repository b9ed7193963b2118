import type { RequestContext } from "../../request/context.ts";
import type { AuthServices } from "../auth-services.ts";
import type { SignedIn } from "../sessions/signed-in.ts";

/**
 * Signs in the person who receives mail at this address; a new address creates a new user.
 *
 * @throws PylonError as `signIn.complete`
 */
export async function enterByEmail(
  services: AuthServices,
  context: RequestContext,
  email: string,
  method: "code" | "link",
): Promise<SignedIn> {
  const { users, signIn, audit } = services;
  const known = await users.findByEmail(email);
  if (known !== null) {
    if (!(await users.isVerified(known))) await claimAccount(services, context, known.id, email);
    return signIn.complete(context, { userId: known.id, method });
  }
  const user = await users.create(
    { guestId: signIn.guestOf(context), email, emailVerified: true },
    method,
  );
  await audit.record(context, "sign-up", { userId: user.id, detail: { method } });
  return signIn.complete(context, { userId: user.id, method });
}

/**
 * Somebody had created an account with an address that they had not verified: revokes every
 * credential with which they can still access it.
 *
 * @param thenKeep stores the new credential of the owner of the address; nobody can sign in before
 *   it is stored
 */
export async function claimAccount(
  services: AuthServices,
  context: RequestContext,
  userId: string,
  email: string,
  thenKeep?: () => Promise<void>,
): Promise<void> {
  const { audit, credentials, sessions, users } = services;
  await sessions.withLockedAccount(userId, async () => {
    await credentials.forgetAll(userId);
    await thenKeep?.();
  });
  await users.setVerifiedEmail(userId, email);
  await audit.record(context, "email.verified", { userId });
}
