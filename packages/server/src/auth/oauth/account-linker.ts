import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import type { AuthServices } from "../auth-services.ts";
import type { Accounts, NewAccount } from "./accounts.ts";

/** The owner of a provider account. */
export interface AccountOwner {
  readonly userId: string;
  /** The user's session epoch in which the account was theirs. */
  readonly epoch: string;
}

/**
 * Errors of two concurrent sign-ins with one new account: the second finds what the first one
 * created.
 */
const CONCURRENT_SIGN_IN: ReadonlySet<string> = new Set([
  "ID_TAKEN",
  "EMAIL_TAKEN",
  "UNIQUE_VIOLATION",
]);

/**
 * Finds the user that a provider account belongs to, and creates one for a new person.
 *
 * An account is added to an existing user only if both the provider and this app have verified the
 * same email address. Otherwise, anyone who registers first with a stranger's address would share
 * the account with its owner.
 */
export class AccountLinker {
  readonly #services: AuthServices;
  readonly #accounts: Accounts;

  constructor(services: AuthServices, accounts: Accounts) {
    this.#services = services;
    this.#accounts = accounts;
  }

  /**
   * @throws PylonError ACCOUNT_EXISTS, SIGN_UP_REFUSED, MISSING_FIELD
   */
  async userOf(context: RequestContext, account: NewAccount): Promise<AccountOwner> {
    try {
      return await this.#userOf(context, account);
    } catch (error) {
      if (!(error instanceof PylonError) || !CONCURRENT_SIGN_IN.has(error.code)) throw error;
      return this.#userOf(context, account);
    }
  }

  /**
   * Links the account to a user who is signed in.
   *
   * @param yields whether to return another user that the account belongs to, instead of throwing
   * @throws PylonError ACCOUNT_TAKEN, UNAUTHORIZED when the user's session has ended meanwhile
   */
  async link(
    context: RequestContext,
    userId: string,
    account: NewAccount,
    yields: boolean,
  ): Promise<AccountOwner> {
    const owner = await this.#known(account);
    if (owner !== null && (owner.userId === userId || yields)) {
      await this.#accounts.renew(account);
      return owner;
    }
    if (owner !== null) throw taken(account.provider);
    try {
      return await this.#link(context, userId, account, context.identity.sessionId);
    } catch (error) {
      if (error instanceof PylonError && error.code === "ID_TAKEN") throw taken(account.provider);
      throw error;
    }
  }

  async #userOf(context: RequestContext, account: NewAccount): Promise<AccountOwner> {
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
    return this.#link(context, namesake.id, account, null);
  }

  /** Returns the owner of the account. The account of a deleted user has no owner. */
  async #known(account: NewAccount): Promise<AccountOwner | null> {
    const { provider, profile } = account;
    const found = await this.#accounts.find(provider, profile.id);
    if (found === null) return null;
    const epoch = await this.#services.sessions.epochOf(found.userId);
    // Read again in this epoch: the account may have been unlinked in the meantime.
    const known = await this.#accounts.find(provider, profile.id);
    if (known === null || known.userId !== found.userId) return this.#known(account);
    if ((await this.#services.users.get(known.userId)) !== null)
      return { userId: known.userId, epoch };
    await this.#accounts.forget(known.id);
    return null;
  }

  async #create(context: RequestContext, account: NewAccount): Promise<AccountOwner> {
    const { users, signIn, audit } = this.#services;
    const { provider, profile } = account;
    const { email, emailVerified, name, avatar } = profile;
    const user = await users.create(
      { guestId: signIn.guestOf(context), email, emailVerified, displayName: name, avatar },
      `oauth:${provider}`,
      (tx, { id }) => this.#accounts.insert(tx, id, account),
    );
    await audit.record(context, "sign-up", {
      userId: user.id,
      detail: { method: `oauth:${provider}` },
    });
    return { userId: user.id, epoch: await this.#services.sessions.epochOf(user.id) };
  }

  /**
   * @param sessionId the requesting session, which must be active; null: the provider's proof is
   *   enough
   */
  async #link(
    context: RequestContext,
    userId: string,
    account: NewAccount,
    sessionId: string | null,
  ): Promise<AccountOwner> {
    const { audit, mails, sessions, store, users } = this.#services;
    const epoch = await sessions.epochOf(userId);
    await store.transact(async (tx) => {
      if (sessionId !== null) await sessions.requireActive(tx, sessionId);
      await this.#accounts.insert(tx, userId, account);
    });
    await audit.record(context, "account.linked", {
      userId,
      detail: { provider: account.provider },
    });
    const email = (await users.get(userId))?.["email"];
    if (typeof email === "string")
      await mails.notify(email, `You can now sign in to your account with ${account.provider}.`);
    return { userId, epoch };
  }
}

function exists(provider: string): PylonError {
  return new PylonError("ACCOUNT_EXISTS", "An account with this email address already exists.", {
    hint: `Sign in to that account as before, and link ${provider} there.`,
  });
}

function taken(provider: string): PylonError {
  return new PylonError("ACCOUNT_TAKEN", `This ${provider} account belongs to another user.`, {
    hint: `Sign in with the ${provider} account, and unlink it there.`,
  });
}
