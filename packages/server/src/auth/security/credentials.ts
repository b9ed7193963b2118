import { PylonError } from "@pylonsync/protocol";
import type { Reader, Transaction } from "../../store/store.ts";

/** Deletes a user's credentials of one kind. */
export type ForgetCredentials = (userId: string) => Promise<void>;

/**
 * Whether the user can sign in with this kind alone. A second factor is not sufficient.
 *
 * @param reader the transaction in which a credential is removed
 */
export type SignsIn = (userId: string, reader: Reader) => Promise<boolean>;

/** What a user can sign in with. */
export interface SignInWays {
  readonly hasPassword: boolean;
  readonly hasPasskey: boolean;
  /** Whether a sign-in also requires a code of an authenticator app. */
  readonly hasAuthenticator: boolean;
  /** The names of the OAuth providers at which the user has an account. */
  readonly providers: readonly string[];
}

/** Returns what one kind of credential adds to a user's sign-in methods. */
export type SignInMethodsOf = (userId: string) => Promise<Partial<SignInWays>>;

/** One kind of credential, such as passwords. */
export interface CredentialKind {
  /** Deletes all of a user's credentials of this kind. */
  readonly forget: ForgetCredentials;
  /** Omitted if none of them is sufficient to sign in. */
  readonly signsIn?: SignsIn;
  /** Omitted if the kind is not shown to the user. */
  readonly ways?: SignInMethodsOf;
}

/** All credentials of users: passwords, provider accounts, passkeys, second factors, API keys. */
export class Credentials {
  readonly #kinds: CredentialKind[] = [];

  /** Called by each service that stores credentials. */
  add(kind: CredentialKind): void {
    this.#kinds.push(kind);
  }

  /** Returns what the user can sign in with, besides a code or link by mail. */
  async ways(userId: string): Promise<SignInWays> {
    const found = await Promise.all(this.#kinds.flatMap(({ ways }) => ways?.(userId) ?? []));
    return Object.assign(
      { hasPassword: false, hasPasskey: false, hasAuthenticator: false, providers: [] },
      ...found,
    );
  }

  /**
   * Checks that the user can sign in with a stored credential.
   *
   * @param tx the transaction that has removed another one: of two that are removed at the same
   *   time, one stays
   * @throws PylonError LAST_SIGN_IN
   */
  async requireSignIn(tx: Transaction, userId: string): Promise<void> {
    for (const { signsIn } of this.#kinds)
      if (signsIn !== undefined && (await signsIn(userId, tx))) return;
    throw new PylonError("LAST_SIGN_IN", "This is the user's only sign-in method.", {
      hint: "Add a passkey, set a password, or link another account first.",
    });
  }

  /** Deletes all credentials: from now on only the email address gives access to the account. */
  async forgetAll(userId: string): Promise<void> {
    for (const { forget } of this.#kinds) await forget(userId);
  }
}
