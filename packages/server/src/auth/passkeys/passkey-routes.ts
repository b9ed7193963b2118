import { MAX_PASSKEYS, PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { json, JsonAnswer, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { routeTable } from "../../request/route-table.ts";
import type { AuthServices } from "../auth-services.ts";
import { requireFresh } from "../sign-in/fresh-sign-in.ts";
import { AuthInput } from "../security/input.ts";
import { tokenPurpose } from "../security/one-time-tokens.ts";
import { keepsSignIn } from "../sign-in/keep-sign-in.ts";
import { ownUser } from "../users/own-user.ts";
import { signedInAnswer } from "../sessions/signed-in.ts";
import type { Passkeys, RelyingParty } from "./passkeys.ts";

const CHALLENGE_MS = 5 * 60_000;
const COOKIE = "passkey";
const PER_ADDRESS = { max: 60, windowSeconds: 10 * 60 };

/** A ceremony in progress. */
interface Ceremony {
  readonly challenge: string;
  /** Null for a sign-in. */
  readonly userId: string | null;
}

const PURPOSE = tokenPurpose<Ceremony>("passkey");

/** The services that the passkey routes need. */
export interface PasskeyServices extends AuthServices {
  readonly passkeys: Passkeys;
}

/** Routes to create, use and delete passkeys. Each ceremony is bound to its browser by a cookie. */
export function passkeyRoutes(services: PasskeyServices): Route[] {
  const { get, post, del } = routeTable(services);
  const path = "/api/auth/passkey";
  return [
    post(`${path}/register/begin`, "signed-in", beginRegistration),
    post(`${path}/register/finish`, "signed-in", finishRegistration),
    post(`${path}/login/begin`, "anyone", beginLogin),
    post(`${path}/login/finish`, "anyone", (all, context) =>
      all.outcomes.of(() => finishLogin(all, context)),
    ),
    get(`${path}/keys`, "signed-in", list),
    del(`${path}/keys/:id`, "signed-in", remove),
  ];
}

function partyOf({ settings }: PasskeyServices, { request }: RequestContext): RelyingParty {
  const publicUrl = settings.origins.publicUrl(request);
  const id = new URL(publicUrl).hostname;
  const origin = request.headers.get("origin");
  // A page of a trusted origin on a subdomain, such as app.example.com for example.com, may use the
  // passkey too.
  const isOwnPage =
    origin !== null &&
    settings.origins.mayUseCookie(request) &&
    isUnder(new URL(origin).hostname, id);
  return { id, name: settings.appName(), origins: isOwnPage ? [publicUrl, origin] : [publicUrl] };
}

async function begin(
  { cookie, tokens }: PasskeyServices,
  options: { readonly challenge: string },
  userId: string | null,
): Promise<Answer> {
  const ceremony: Ceremony = { challenge: options.challenge, userId };
  const token = await tokens.issue(PURPOSE, ceremony, CHALLENGE_MS);
  return new JsonAnswer(options, 200, {
    "Set-Cookie": [cookie.other(COOKIE, token, CHALLENGE_MS)],
  });
}

/** @throws PylonError INVALID_PASSKEY when this browser has started no ceremony, or another one */
async function ceremonyOf(
  { cookie, tokens }: PasskeyServices,
  { request }: RequestContext,
  userId: string | null,
): Promise<Ceremony> {
  const token = cookie.readOther(request.headers, COOKIE);
  const ceremony = token === null ? null : await tokens.take(PURPOSE, token);
  if (ceremony === null || ceremony.userId !== userId)
    throw new PylonError(
      "INVALID_PASSKEY",
      "This browser has not started using a passkey, or has started it too long ago.",
      {
        hint: "Begin again.",
      },
    );
  return ceremony;
}

async function beginRegistration(
  services: PasskeyServices,
  context: RequestContext,
): Promise<Answer> {
  const { passkeys } = services;
  const user = await ownUser(services, context);
  await requireFresh(services, context);
  if ((await passkeys.list(user.id)).length >= MAX_PASSKEYS)
    throw new PylonError("CONFLICT", `You have reached the maximum of ${MAX_PASSKEYS} passkeys.`, {
      hint: "Delete some.",
    });
  const name = typeof user["email"] === "string" ? user["email"] : user.id;
  return begin(
    services,
    await passkeys.registrationOptions(partyOf(services, context), { id: user.id, name }),
    user.id,
  );
}

async function finishRegistration(
  services: PasskeyServices,
  context: RequestContext,
): Promise<Answer> {
  const { audit, mails, passkeys } = services;
  const user = await ownUser(services, context);
  const input = await AuthInput.of(context);
  const { challenge } = await ceremonyOf(services, context, user.id);
  const info = await passkeys.register(
    partyOf(services, context),
    user.id,
    challenge,
    input.raw,
    input.optionalText("name", 200) ?? "Passkey",
  );
  await audit.record(context, "passkey.added");
  if (typeof user["email"] === "string")
    await mails.notify(user["email"], "A passkey was added to your account.");
  return json(info);
}

async function beginLogin(services: PasskeyServices, context: RequestContext): Promise<Answer> {
  const { attempts, passkeys } = services;
  await attempts.countFrom("passkey", context.address, PER_ADDRESS);
  return begin(services, await passkeys.authenticationOptions(partyOf(services, context)), null);
}

async function finishLogin(services: PasskeyServices, context: RequestContext): Promise<Answer> {
  const { passkeys, sessions, signIn } = services;
  const input = await AuthInput.of(context);
  const { challenge } = await ceremonyOf(services, context, null);
  const owner = await passkeys.ownerOf(input.raw);
  // Read before the key: anything that removes the key also rejects this sign-in.
  const epoch = owner === null ? undefined : await sessions.epochOf(owner);
  const userId = await passkeys.authenticate(partyOf(services, context), challenge, input.raw);
  // The device has verified its user: this proves what they have, and what they know or are.
  return signedInAnswer(
    await signIn.complete(context, {
      userId,
      method: "passkey",
      isStrong: true,
      ...(epoch === undefined ? {} : { epoch }),
    }),
  );
}

async function list(services: PasskeyServices, context: RequestContext): Promise<Answer> {
  const { passkeys } = services;
  return json(await passkeys.list((await ownUser(services, context)).id));
}

async function remove(services: PasskeyServices, context: RequestContext): Promise<Answer> {
  const { audit, mails, passkeys } = services;
  const user = await ownUser(services, context);
  await requireFresh(services, context);
  if (!(await passkeys.end(user.id, context.param("id"), keepsSignIn(services, user))))
    throw new PylonError("NOT_FOUND", "You have no passkey with this id.", {
      hint: "GET /api/auth/passkey/keys lists your passkeys.",
    });
  await audit.record(context, "passkey.deleted");
  if (typeof user["email"] === "string")
    await mails.notify(user["email"], "A passkey was removed from your account.");
  return json({ deleted: true });
}

function isUnder(host: string, domain: string): boolean {
  return host === domain || host.endsWith(`.${domain}`);
}
