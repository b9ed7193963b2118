import type { MutationQueue } from "../outbox/mutation-queue.ts";
import type { Credentials, ResolvedSession, Session } from "../session/session.ts";

/** What a change of the session does to the rest of an engine. */
export interface EngineSessionOptions {
  readonly session: Session;
  readonly queue: MutationQueue;
  readonly credentials: Credentials;
  readonly initial: ResolvedSession;
  /** Another token is used from now on: nothing that was kept is shown before its user is known. */
  readonly onOtherUser: () => void;
  /** The user has signed out of this browser, and leaves nothing behind. */
  readonly onSignOut: () => void;
  /** Everything is asked again. */
  readonly onChanged: () => void;
}

/**
 * Who is signed in, and how that changes.
 *
 * @example
 * engine.session.onChange(({ userId }) => render(userId));
 * await engine.session.signInAsGuest();
 */
export class EngineSession {
  readonly #options: EngineSessionOptions;

  constructor(options: EngineSessionOptions) {
    this.#options = options;
  }

  /** As far as it is known: `ANONYMOUS_SESSION` itself until the server has told. */
  get current(): ResolvedSession {
    return this.#options.session.resolved;
  }
  /** Who was signed in when the engine was made: what a rendered page shows until it is alive. */
  get initial(): ResolvedSession {
    return this.#options.initial;
  }
  /** What requests are signed in by. */
  get credentials(): Credentials {
    return this.#options.credentials;
  }
  /** Null for nobody, and where a cookie signs in. */
  get token(): string | null {
    return this.#options.session.token;
  }

  /**
   * Told when the server says that another user is there than before.
   *
   * @returns an unsubscribe function
   */
  onChange(listener: (session: ResolvedSession) => void): () => void {
    return this.#options.session.onChange(listener);
  }

  /** Asks the server who is there. @throws PylonClientError */
  refresh(): Promise<ResolvedSession> {
    return this.#options.session.refresh();
  }

  /**
   * Signs in with a token: the replica is dropped and made again for the new identity, whose own
   * writes are sent. With null it signs out here: rows and unsent writes are dropped, from the disk
   * too. The session on the server goes on; `signOut` of @pylonsync/react ends it.
   */
  setToken(token: string | null): void {
    const { session, queue, onSignOut, onOtherUser } = this.#options;
    queue.dropUnknown();
    session.token = token;
    if (token === null) {
      queue.dropAll();
      onSignOut();
    } else onOtherUser();
    this.notifyChanged();
  }

  /** Forgets a token that the server no longer knows. What was not sent waits for its user. */
  forgetToken(): void {
    this.#options.session.token = null;
    this.#options.onOtherUser();
    this.notifyChanged();
  }

  /** Makes a guest with rows of its own, and signs in. */
  async signInAsGuest(): Promise<{ readonly token: string; readonly userId: string }> {
    this.#options.queue.dropUnknown();
    const guest = await this.#options.session.signInAsGuest();
    this.#options.onOtherUser();
    this.notifyChanged();
    return guest;
  }

  /** After a sign-in, sign-out or change of tenant that the app made by itself. */
  notifyChanged(): void {
    this.#options.session.invalidate();
    this.#options.onChanged();
  }
}
