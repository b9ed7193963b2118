/** How one kind of credential of a user is deleted. */
export type ForgetCredentials = (userId: string) => Promise<void>;

/** Whether the user has one of this kind that signs in by itself. A second factor does not. */
export type SignsIn = (userId: string) => Promise<boolean>;

/** What a user can sign in with. */
export interface SignInWays {
  readonly hasPassword: boolean;
  readonly hasPasskey: boolean;
  /** Whether a sign-in asks for a code of an app too. */
  readonly hasAuthenticator: boolean;
  /** Accounts elsewhere, by the names of their providers. */
  readonly providers: readonly string[];
}

/** What one kind of credential adds to them. */
export type WaysOfKind = (userId: string) => Promise<Partial<SignInWays>>;

/** One kind of credential, such as passwords. */
export interface CredentialKind {
  /** Deletes all of a user's. */
  readonly forget: ForgetCredentials;
  /** Left out: none of them signs in by itself. */
  readonly signsIn?: SignsIn;
  /** Left out: it is not shown to the user. */
  readonly ways?: WaysOfKind;
}

/**
 * Everything that a user can prove themselves with: passwords, accounts elsewhere, passkeys, second
 * factors, keys.
 */
export class Credentials {
  readonly #kinds: CredentialKind[] = [];

  /** Called by each part that keeps credentials. */
  add(kind: CredentialKind): void {
    this.#kinds.push(kind);
  }

  /** With what the user can sign in, beside a code or a link by mail. */
  async ways(userId: string): Promise<SignInWays> {
    const found = await Promise.all(this.#kinds.flatMap(({ ways }) => ways?.(userId) ?? []));
    return Object.assign(
      { hasPassword: false, hasPasskey: false, hasAuthenticator: false, providers: [] },
      ...found,
    );
  }

  /**
   * Whether the user can sign in with anything that is kept.
   *
   * @param except a kind that does not count
   */
  async signIn(userId: string, except?: SignsIn): Promise<boolean> {
    for (const { signsIn } of this.#kinds)
      if (signsIn !== undefined && signsIn !== except && (await signsIn(userId))) return true;
    return false;
  }

  /** Nothing but its e-mail address opens the account from now on. */
  async forgetAll(userId: string): Promise<void> {
    for (const { forget } of this.#kinds) await forget(userId);
  }
}
