import { parseAnswer, PylonClientError } from "@pylonsync/sync";
import * as v from "valibot";
import { getEngine } from "../client.ts";
import { signIn, type AuthCallOptions, type SignedIn } from "./calls.ts";

/** Only the challenge is validated; the browser validates the other members. */
const RequestSchema = v.looseObject({ challenge: v.string() });
const CreationSchema = v.looseObject({
  challenge: v.string(),
  rp: v.looseObject({ name: v.string() }),
  user: v.looseObject({ id: v.string(), name: v.string(), displayName: v.string() }),
  pubKeyCredParams: v.array(v.object({ type: v.literal("public-key"), alg: v.number() })),
});

/** A passkey of a user. */
export interface Passkey {
  readonly id: string;
  readonly name: string;
}

/**
 * Whether this browser supports passkeys.
 *
 * @example
 * if (hasPasskeys()) await signInWithPasskey();
 */
export function hasPasskeys(): boolean {
  return (
    typeof PublicKeyCredential === "function" &&
    typeof PublicKeyCredential.parseRequestOptionsFromJSON === "function"
  );
}

/**
 * Signs in with a passkey on this device or a phone, without a user name.
 *
 * @throws PylonClientError INVALID_PASSKEY, or NO_PASSKEY if none was selected
 *
 * @example
 * const { userId } = await signInWithPasskey();
 */
export async function signInWithPasskey(options: AuthCallOptions = {}): Promise<SignedIn> {
  const { sync = getEngine() } = options;
  const asked = parseAnswer(
    RequestSchema,
    await sync.request("POST", "/api/auth/passkey/login/begin", {}),
  );
  const answer = await ceremony(
    navigator.credentials.get({
      publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked),
    }),
    "No passkey was used.",
  );
  return signIn("/api/auth/passkey/login/finish", { ...answer.toJSON() }, options);
}

/**
 * Creates a passkey for the signed-in user.
 *
 * @throws PylonClientError FRESH_SIGN_IN_REQUIRED, or NO_PASSKEY if none was created
 *
 * @example
 * await addPasskey("My laptop");
 */
export async function addPasskey(
  name: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<void> {
  const asked = parseAnswer(
    CreationSchema,
    await sync.request("POST", "/api/auth/passkey/register/begin", {}),
  );
  const made = await ceremony(
    navigator.credentials.create({
      publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked),
    }),
    "No passkey was created.",
  );
  await sync.request("POST", "/api/auth/passkey/register/finish", { ...made.toJSON(), name });
}

const PasskeysSchema = v.array(v.object({ id: v.string(), name: v.string() }));

/**
 * Lists the passkeys of the signed-in user.
 *
 * @throws PylonClientError
 *
 * @example
 * const names = (await listPasskeys()).map(({ name }) => name);
 */
export async function listPasskeys({ sync = getEngine() }: AuthCallOptions = {}): Promise<
  readonly Passkey[]
> {
  return parseAnswer(PasskeysSchema, await sync.request("GET", "/api/auth/passkey/keys"));
}

/**
 * Deletes a passkey of the signed-in user.
 *
 * @throws PylonClientError FRESH_SIGN_IN_REQUIRED, NOT_FOUND
 *
 * @example
 * const [passkey] = await listPasskeys();
 * if (passkey !== undefined) await deletePasskey(passkey.id);
 */
export async function deletePasskey(
  id: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<void> {
  await sync.request("DELETE", `/api/auth/passkey/keys/${encodeURIComponent(id)}`);
}

/** Runs the browser's ceremony. Cancelling it is not reported as a fault. */
async function ceremony(
  asked: Promise<Credential | null>,
  without: string,
): Promise<PublicKeyCredential> {
  const answer = await asked.catch((reason: unknown) => {
    if (reason instanceof DOMException) return null;
    throw reason;
  });
  if (!(answer instanceof PublicKeyCredential))
    throw PylonClientError.ofClient("NO_PASSKEY", without);
  return answer;
}
