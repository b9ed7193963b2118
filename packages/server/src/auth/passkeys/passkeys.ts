import { PylonError } from "@pylonsync/protocol";
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from "@simplewebauthn/server";
import type { Platform } from "../../platform.ts";
import type { Reader, Store, Transaction } from "../../store/store.ts";
import { isoTime, isoTimeOrNull, transactById, type RowOf } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { isRecord } from "../../util/is-record.ts";

const PASSKEYS = SYSTEM_TABLES.passkeys;
type PasskeyRow = RowOf<typeof PASSKEYS>;

/** The relying party of a ceremony. */
export interface RelyingParty {
  /** The host whose pages may use the passkey. */
  readonly id: string;
  readonly name: string;
  /** The exact origins of those pages. */
  readonly origins: readonly string[];
}

/** The part of a passkey that its owner sees. */
export interface PasskeyInfo {
  readonly id: string;
  readonly name: string;
  readonly created_at: string;
  readonly used_at: string | null;
}

/** Passkeys (WebAuthn). The library is loaded with the first ceremony. */
export class Passkeys {
  readonly #store: Store;
  readonly #platform: Platform;

  constructor(store: Store, platform: Platform) {
    this.#store = store;
    this.#platform = platform;
  }

  /** Returns a browser's options to create a passkey: discoverable, with user verification. */
  async registrationOptions(
    party: RelyingParty,
    user: { readonly id: string; readonly name: string },
  ): Promise<{ readonly challenge: string }> {
    const { generateRegistrationOptions } = await import("@simplewebauthn/server");
    const known = await this.#rowsOf(user.id);
    return generateRegistrationOptions({
      rpID: party.id,
      rpName: party.name,
      userID: new TextEncoder().encode(user.id),
      userName: user.name,
      attestationType: "none",
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
      excludeCredentials: known.map(({ id, transports }) => ({
        id,
        transports,
      })),
    });
  }

  /** @throws PylonError INVALID_PASSKEY */
  async register(
    party: RelyingParty,
    userId: string,
    challenge: string,
    response: unknown,
    name: string,
  ): Promise<PasskeyInfo> {
    if (!isRegistration(response)) throw invalid();
    const { verifyRegistrationResponse } = await import("@simplewebauthn/server");
    const { registrationInfo } = await verifyRegistrationResponse({
      response,
      expectedChallenge: challenge,
      expectedOrigin: [...party.origins],
      expectedRPID: party.id,
      requireUserVerification: true,
    }).catch(invalid);
    if (registrationInfo === undefined) throw invalid();
    const { id, publicKey, counter, transports = [] } = registrationInfo.credential;
    const row: PasskeyRow = {
      id,
      userId,
      name,
      publicKey: Buffer.from(publicKey).toString("base64url"),
      counter,
      transports,
      createdAt: this.#platform.now(),
      usedAt: null,
    };
    await transactById(this.#store, (tx) => PASSKEYS.insert(tx, row));
    return toInfo(row);
  }

  /**
   * Returns the options with which a browser signs in with any passkey that its user chooses: they
   * reveal nothing about accounts.
   */
  async authenticationOptions(party: RelyingParty): Promise<{ readonly challenge: string }> {
    const { generateAuthenticationOptions } = await import("@simplewebauthn/server");
    return generateAuthenticationOptions({ rpID: party.id, userVerification: "required" });
  }

  /**
   * Returns the owner of the passkey that a browser's response names, or null if it is unknown.
   * This proves nothing.
   */
  async ownerOf(response: unknown): Promise<string | null> {
    return (await this.#named(response))?.userId ?? null;
  }

  /** @returns the owner of the passkey @throws PylonError INVALID_PASSKEY */
  async authenticate(party: RelyingParty, challenge: string, response: unknown): Promise<string> {
    const { verifyAuthenticationResponse: verify } = await import("@simplewebauthn/server");
    const row = await this.#named(response);
    if (row === null || !isAuthentication(response)) throw invalid();
    const { verified, authenticationInfo } = await verify({
      response,
      expectedChallenge: challenge,
      expectedOrigin: [...party.origins],
      expectedRPID: party.id,
      requireUserVerification: true,
      credential: {
        id: row.id,
        publicKey: new Uint8Array(Buffer.from(row.publicKey, "base64url")),
        counter: row.counter,
        transports: row.transports,
      },
    }).catch(invalid);
    if (!verified) throw invalid();
    await transactById(this.#store, (tx) =>
      PASSKEYS.update(tx, row.id, {
        counter: authenticationInfo.newCounter,
        usedAt: this.#platform.now(),
      }),
    );
    return row.userId;
  }

  /** Returns the user's passkeys. */
  async list(userId: string, reader?: Reader): Promise<PasskeyInfo[]> {
    return (await this.#rowsOf(userId, reader)).map(toInfo);
  }

  /**
   * @param check runs in the same transaction; if it throws, the passkey stays
   * @returns whether it existed
   */
  end(userId: string, id: string, check: (tx: Transaction) => Promise<void>): Promise<boolean> {
    return this.#store.transact(async (tx) => {
      if ((await PASSKEYS.get(tx, id))?.userId !== userId) return false;
      await PASSKEYS.delete(tx, id);
      await check(tx);
      return true;
    });
  }

  /** Deletes all passkeys of the user. */
  async forget(userId: string): Promise<void> {
    await this.#store.transact((tx) => PASSKEYS.deleteWhere(tx, PASSKEYS.is("userId", userId)));
  }

  async #named(response: unknown): Promise<PasskeyRow | null> {
    const id = isRecord(response) ? response["id"] : undefined;
    return typeof id === "string" && id.length <= 1024 && !id.includes("\0")
      ? PASSKEYS.get(this.#store, id)
      : null;
  }

  #rowsOf(userId: string, reader: Reader = this.#store): Promise<PasskeyRow[]> {
    return PASSKEYS.select(reader, { where: PASSKEYS.is("userId", userId) });
  }
}

/** Whether a browser's response has the expected structure; the library checks its contents. */
function isRegistration(answer: unknown): answer is RegistrationResponseJSON {
  return (
    isCredential(answer) && hasTexts(answer["response"], ["clientDataJSON", "attestationObject"])
  );
}

function isAuthentication(answer: unknown): answer is AuthenticationResponseJSON {
  return (
    isCredential(answer) &&
    hasTexts(answer["response"], ["clientDataJSON", "authenticatorData", "signature"])
  );
}

function isCredential(answer: unknown): answer is Readonly<Record<string, unknown>> {
  return isRecord(answer) && hasTexts(answer, ["id", "rawId", "type"]);
}

function hasTexts(value: unknown, names: readonly string[]): boolean {
  return isRecord(value) && names.every((name) => typeof value[name] === "string");
}

function invalid(): never {
  throw new PylonError("INVALID_PASSKEY", "This passkey was not accepted.", {
    hint: "Begin again.",
  });
}

function toInfo(row: PasskeyRow): PasskeyInfo {
  return {
    id: row.id,
    name: row.name,
    created_at: isoTime(row.createdAt),
    used_at: isoTimeOrNull(row.usedAt),
  };
}
