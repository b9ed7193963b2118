import { PylonError } from "@pylonsync/protocol";
import type {
  AuthenticationResponseJSON,
  RegistrationResponseJSON,
  verifyAuthenticationResponse,
} from "@simplewebauthn/server";
import type { Platform } from "../../platform.ts";
import type { Store, StoredRow } from "../../store/store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { fieldIs } from "../security/where.ts";

const TABLE = SYSTEM_TABLES.passkeys.name;
const SINGLE_ROW = { isolation: "snapshot" } as const;

/** Where a ceremony takes place. */
export interface RelyingParty {
  /** The host whose pages may use the passkey. */
  readonly id: string;
  readonly name: string;
  /** The exact origins of those pages. */
  readonly origins: readonly string[];
}

/** What its owner is shown of a passkey. */
export interface PasskeyInfo {
  readonly id: string;
  readonly name: string;
  readonly created_at: string;
  readonly used_at: string | null;
}

type Transports = NonNullable<
  Parameters<typeof verifyAuthenticationResponse>[0]["credential"]["transports"]
>;

/** Passkeys (WebAuthn). The library is loaded with the first ceremony. */
export class Passkeys {
  readonly #store: Store;
  readonly #platform: Platform;

  constructor(store: Store, platform: Platform) {
    this.#store = store;
    this.#platform = platform;
  }

  /** What a browser needs to make a passkey: a discoverable one, with its user verified. */
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
        transports: JSON.parse(transports as string) as Transports,
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
    const { verifyRegistrationResponse } = await import("@simplewebauthn/server");
    const { registrationInfo } = await verifyRegistrationResponse({
      response: response as RegistrationResponseJSON,
      expectedChallenge: challenge,
      expectedOrigin: [...party.origins],
      expectedRPID: party.id,
      requireUserVerification: true,
    }).catch(invalid);
    if (registrationInfo === undefined) throw invalid();
    const { id, publicKey, counter, transports = [] } = registrationInfo.credential;
    const row: StoredRow = {
      id,
      userId,
      name,
      publicKey: Buffer.from(publicKey).toString("base64url"),
      counter,
      transports: JSON.stringify(transports),
      createdAt: this.#at(),
      usedAt: null,
    };
    await this.#store.transact((tx) => tx.insert(TABLE, row), SINGLE_ROW);
    return toInfo(row);
  }

  /**
   * What a browser needs to sign in with whichever passkey its user chooses: it tells nothing about
   * accounts.
   */
  async authenticationOptions(party: RelyingParty): Promise<{ readonly challenge: string }> {
    const { generateAuthenticationOptions } = await import("@simplewebauthn/server");
    return generateAuthenticationOptions({ rpID: party.id, userVerification: "required" });
  }

  /**
   * Whose passkey a browser's answer names; null for one that is not known. Nothing is proved by
   * that.
   */
  async ownerOf(response: unknown): Promise<string | null> {
    return ((await this.#named(response))?.["userId"] as string | undefined) ?? null;
  }

  /** @returns whose passkey it is @throws PylonError INVALID_PASSKEY */
  async authenticate(party: RelyingParty, challenge: string, response: unknown): Promise<string> {
    const { verifyAuthenticationResponse: verify } = await import("@simplewebauthn/server");
    const row = await this.#named(response);
    if (row === null) throw invalid();
    const { verified, authenticationInfo } = await verify({
      response: response as AuthenticationResponseJSON,
      expectedChallenge: challenge,
      expectedOrigin: [...party.origins],
      expectedRPID: party.id,
      requireUserVerification: true,
      credential: {
        id: row.id,
        publicKey: new Uint8Array(Buffer.from(row["publicKey"] as string, "base64url")),
        counter: row["counter"] as number,
        transports: JSON.parse(row["transports"] as string) as Transports,
      },
    }).catch(invalid);
    if (!verified) throw invalid();
    await this.#store.transact(
      (tx) =>
        tx.update(TABLE, row.id, { counter: authenticationInfo.newCounter, usedAt: this.#at() }),
      SINGLE_ROW,
    );
    return row["userId"] as string;
  }

  async list(userId: string): Promise<PasskeyInfo[]> {
    return (await this.#rowsOf(userId)).map(toInfo);
  }

  /** @returns whether it was there */
  end(userId: string, id: string): Promise<boolean> {
    return this.#store.transact(
      async (tx) => (await tx.get(TABLE, id))?.["userId"] === userId && tx.delete(TABLE, id),
      SINGLE_ROW,
    );
  }

  async forget(userId: string): Promise<void> {
    await this.#store.transact((tx) => tx.deleteWhere(TABLE, fieldIs("userId", userId)));
  }

  async #named(response: unknown): Promise<StoredRow | null> {
    const id = (response as { readonly id?: unknown } | null)?.id;
    return typeof id === "string" && id.length <= 1024 && !id.includes("\0")
      ? this.#store.get(TABLE, id)
      : null;
  }

  #rowsOf(userId: string): Promise<StoredRow[]> {
    return this.#store.select({ entity: TABLE, where: fieldIs("userId", userId) });
  }

  #at(): string {
    return new Date(this.#platform.now()).toISOString();
  }
}

function invalid(): never {
  throw new PylonError("INVALID_PASSKEY", "This passkey was not accepted.", {
    hint: "Begin again.",
  });
}

function toInfo(row: StoredRow): PasskeyInfo {
  return {
    id: row.id,
    name: row["name"] as string,
    created_at: row["createdAt"] as string,
    used_at: row["usedAt"] as string | null,
  };
}
