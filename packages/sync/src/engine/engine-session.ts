import type { MutationQueue } from "../outbox/mutation-queue.ts";
import type { Credentials, ResolvedSession, Session } from "../session/session.ts";

/** The callbacks with which session changes affect the rest of an engine. */
export interface EngineSessionOptions {
  readonly session: Session;
  readonly queue: MutationQueue;
  readonly credentials: Credentials;
  readonly initial: ResolvedSession;
  /** Called when the token changed: no stored rows are shown before the user is known. */
  readonly onOtherUser: () => void;
  /** Called when the user has signed out of this browser: all local data is removed. */
  readonly onSignOut: () => void;
  /** Called when everything must be loaded again. */
  readonly onChanged: () => void;
}

/**
 * The session, and functions to change it.
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

  /** The current session; `ANONYMOUS_SESSION` itself until the server has responded. */
  get current(): ResolvedSession {
    return this.#options.session.resolved;
  }
  /** The session with which the engine was created: shown during server rendering and hydration. */
  get initial(): ResolvedSession {
    return this.#options.initial;
  }
  /** How requests are authenticated. */
  get credentials(): Credentials {
    return this.#options.credentials;
  }
  /** Null for anonymous callers, and with cookie authentication. */
  get token(): string | null {
    return this.#options.session.token;
  }

  /**
   * Adds the user who makes a request to its path. Without a token, the cookie may be that of
   * another user by the time the request arrives: routes that take `user_id` then refuse it.
   *
   * @example
   * const url = engine.baseUrl + engine.session.named("/api/files/upload");
   */
  named(path: string): string {
    return this.#options.session.named(path);
  }

  /** Loads the session again if a request with a named path failed because of another user. */
  refreshAfter(error: unknown): void {
    this.#options.session.refreshAfter(error);
  }

  /**
   * Listens to changes of the session.
   *
   * @returns an unsubscribe function
   */
  onChange(listener: (session: ResolvedSession) => void): () => void {
    return this.#options.session.onChange(listener);
  }

  /** Loads the session from the server. @throws PylonClientError */
  refresh(): Promise<ResolvedSession> {
    return this.#options.session.refresh();
  }

  /**
   * Signs in with a token: the replica is dropped and rebuilt for the new user, whose own writes
   * are sent. With null it signs out locally: rows and unsent writes are deleted, also from disk.
   * The session on the server continues; use `signOut` of @pylonsync/react to end it.
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

  /**
   * Ends the session of the current token on the server as soon as it can be reached, also after a
   * reload. Call it before `setToken(null)` if a sign-out can't reach the server.
   */
  endLater(): void {
    this.#options.session.endLater();
  }

  /** Removes a token that the server no longer accepts. Unsent writes wait for their user. */
  forgetToken(): void {
    this.#options.session.token = null;
    this.#options.onOtherUser();
    this.notifyChanged();
  }

  /** Creates a guest with their own rows, and signs in. */
  async signInAsGuest(): Promise<{ readonly token: string; readonly userId: string }> {
    this.#options.queue.dropUnknown();
    const guest = await this.#options.session.signInAsGuest();
    this.#options.onOtherUser();
    this.notifyChanged();
    return guest;
  }

  /** Call it after the app itself has signed in or out, or changed the tenant. */
  notifyChanged(): void {
    this.#options.session.invalidate();
    this.#options.onChanged();
  }
}
