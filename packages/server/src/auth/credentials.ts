/** How one kind of credential of a user is deleted. */
export type ForgetCredentials = (userId: string) => Promise<void>;

/** Whether the user has one of this kind that signs in by itself. A second factor does not. */
export type SignsIn = (userId: string) => Promise<boolean>;

interface Kind {
  readonly forget: ForgetCredentials;
  readonly signsIn: SignsIn;
}

/**
 * Everything that a user can prove themselves with: passwords, accounts elsewhere, passkeys, second
 * factors, keys.
 */
export class Credentials {
  readonly #kinds: Kind[] = [];

  /**
   * Each part that keeps credentials says how they are deleted, and whether a user could sign in
   * with them.
   */
  add(forget: ForgetCredentials, signsIn: SignsIn = () => Promise.resolve(false)): void {
    this.#kinds.push({ forget, signsIn });
  }

  /**
   * Whether the user can sign in with anything that is kept.
   *
   * @param except a kind that does not count
   */
  async signIn(userId: string, except?: SignsIn): Promise<boolean> {
    for (const { signsIn } of this.#kinds)
      if (signsIn !== except && (await signsIn(userId))) return true;
    return false;
  }

  /** Nothing opens the account any more but its e-mail address. */
  async forgetAll(userId: string): Promise<void> {
    for (const { forget } of this.#kinds) await forget(userId);
  }
}
