import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import type { AuthServices } from "../auth-services.ts";
import type { Accounts, NewAccount } from "./accounts.ts";

/** What two sign-ins at once with one new account can meet: the second finds what the first one made. */
const MET_ANOTHER: ReadonlySet<string> = new Set(["ID_TAKEN", "EMAIL_TAKEN", "UNIQUE_VIOLATION"]);

/**
 * Tells which user an account elsewhere belongs to, and makes one for somebody new.
 *
 * An account joins a user that is there already only over an e-mail address that both the provider and this app have verified: else whoever
 * registers first with a stranger's address would share the account with its owner.
 */
export class WhoSignsIn {
  readonly #services: AuthServices;
  readonly #accounts: Accounts;

  constructor(services: AuthServices, accounts: Accounts) {
    this.#services = services;
    this.#accounts = accounts;
  }

  /**
   * @returns the user's id
   * @throws PylonError ACCOUNT_EXISTS, SIGN_UP_REFUSED, MISSING_FIELD
   */
  async userOf(context: RequestContext, account: NewAccount): Promise<string> {
    try {
      return await this.#userOf(context, account);
    } catch (error) {
      if (!(error instanceof PylonError) || !MET_ANOTHER.has(error.code)) throw error;
      return this.#userOf(context, account);
    }
  }

  /**
   * Gives the account to a user who is signed in.
   *
   * @param yields where the account belongs to another user: that one it is
   * @returns whose the account is
   * @throws PylonError ACCOUNT_TAKEN
   */
  async link(context: RequestContext, userId: string, account: NewAccount, yields: boolean): Promise<string> {
    const owner = await this.#known(account);
    if (owner !== null && (owner === userId || yields)) {
      await this.#accounts.renew(account);
      return owner;
    }
    if (owner !== null) throw taken(account.provider);
    try {
      await this.#link(context, userId, account);
      return userId;
    } catch (error) {
      if (error instanceof PylonError && error.code === "ID_TAKEN") throw taken(account.provider);
      throw error;
    }
  }

  async #userOf(context: RequestContext, account: NewAccount): Promise<string> {
    const { users } = this.#services;
    const { provider, profile } = account;
    const owner = await this.#known(account);
    if (owner !== null) {
      await this.#accounts.renew(account);
      return owner;
    }
    const namesake = profile.email === undefined ? null : await users.findByEmail(profile.email);
    if (namesake === null) return this.#create(context, account);
    if (!profile.emailVerified || !(await users.isVerified(namesake))) throw exists(provider);
    await this.#link(context, namesake.id, account);
    return namesake.id;
  }

  /** Whose account it is. That of a user who is gone is nobody's. */
  async #known({ provider, profile }: NewAccount): Promise<string | null> {
    const known = await this.#accounts.find(provider, profile.id);
    if (known === null) return null;
    if ((await this.#services.users.get(known.userId)) !== null) return known.userId;
    await this.#accounts.forget(known.id);
    return null;
  }

  async #create(context: RequestContext, account: NewAccount): Promise<string> {
    const { users, signIn, audit } = this.#services;
    const { provider, profile } = account;
    const { email, emailVerified, name, avatar } = profile;
    const user = await users.create({ id: signIn.newUserId(context), email, emailVerified, displayName: name, avatar }, `oauth:${provider}`, (tx, { id }) => this.#accounts.insert(tx, id, account));
    await audit.record(context, "sign-up", { userId: user.id, detail: { method: `oauth:${provider}` } });
    return user.id;
  }

  async #link(context: RequestContext, userId: string, account: NewAccount): Promise<void> {
    const { audit, mails, users } = this.#services;
    await this.#accounts.link(userId, account);
    await audit.record(context, "account.linked", { userId, detail: { provider: account.provider } });
    const email = (await users.get(userId))?.["email"];
    if (typeof email === "string") mails.sendSoon("security-notice", email, { notice: `Your account can now be signed in to with ${account.provider}.` });
  }
}

function exists(provider: string): PylonError {
  return new PylonError("ACCOUNT_EXISTS", "There is an account with this e-mail address already.", { hint: `Sign in to it as before, and link ${provider} from there.` });
}

function taken(provider: string): PylonError {
  return new PylonError("ACCOUNT_TAKEN", `This ${provider} account belongs to another user.`, { hint: "Sign in with it, and unlink it there." });
}
