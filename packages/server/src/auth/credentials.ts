/** How one kind of credential of a user is deleted. */
export type ForgetCredentials = (userId: string) => Promise<void>;

/** Everything that a user can prove themselves with: passwords, accounts elsewhere, passkeys, second factors, keys. */
export class Credentials {
  readonly #kinds: ForgetCredentials[] = [];

  /** Each part that keeps credentials says how they are deleted. */
  add(forget: ForgetCredentials): void {
    this.#kinds.push(forget);
  }

  /** Nothing opens the account any more but its e-mail address. */
  async forgetAll(userId: string): Promise<void> {
    for (const forget of this.#kinds) await forget(userId);
  }
}
