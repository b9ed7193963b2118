import { Emitter } from "../platform/emitter.ts";
import { PylonClientError } from "../connection/errors.ts";
import { HttpClient } from "../connection/http.ts";
import { loadOnline } from "../connection/load-online.ts";
import type { Platform } from "../platform/platform.ts";
import { storageKey, type Storage } from "./storage.ts";

/** The session, as identified by the server. */
export interface ResolvedSession {
  readonly userId: string | null;
  readonly tenantId: string | null;
  readonly isAdmin: boolean;
  readonly isGuest: boolean;
  readonly roles: readonly string[];
}

/** How long the server's confirmation of a cookie is valid for sending writes, in milliseconds. */
const REVALIDATED_MS = 1_000;

/** The anonymous session; this object itself also represents an unknown session. */
export const ANONYMOUS_SESSION: ResolvedSession = Object.freeze({
  userId: null,
  tenantId: null,
  isAdmin: false,
  isGuest: false,
  roles: [],
});

/** Whether both have the same permissions. */
export function isSame(one: ResolvedSession | null, other: ResolvedSession | null): boolean {
  if (one === null || other === null) return one === other;
  const sameCaller =
    one.userId === other.userId &&
    one.tenantId === other.tenantId &&
    one.isAdmin === other.isAdmin &&
    one.isGuest === other.isGuest;
  return (
    sameCaller &&
    one.roles.length === other.roles.length &&
    one.roles.every((role, index) => role === other.roles[index])
  );
}

/** The dependencies of a session. */
export interface SessionOptions {
  readonly baseUrl: string;
  readonly platform: Platform;
  readonly storage: Storage;
  readonly appName: string;
  /** Overrides a stored token. */
  readonly token: string | undefined;
  readonly credentials: Credentials;
  /** The session, if it is known before the server is asked; otherwise `ANONYMOUS_SESSION`. */
  readonly initial: ResolvedSession;
}

/**
 * How requests are authenticated: with a token that the page stores, or a cookie that scripts can't
 * read.
 */
export type Credentials = "token" | "cookie";

/**
 * The state of knowledge about the session.
 *
 * ```
 * unknown --the server, or the disk for this token--> known --somebody may have signed in-> doubted
 *    ^                                                  |  ^                                   |
 *    +------------------another token-------------------+  +------------the server-------------+
 * ```
 *
 * `witness` identifies the credentials of the session: if it has changed, another tab has signed in
 * or out since, and the state is outdated.
 */
type SessionState =
  | { readonly is: "unknown" }
  | {
      readonly is: "known" | "doubted";
      readonly session: ResolvedSession;
      readonly witness: string;
    };

/** A request in progress, and the credentials that it is about. */
interface PreparedAnswer {
  readonly witness: string;
  readonly answer: Promise<ResolvedSession | PylonClientError>;
}

/** The token and its session. */
export class Session {
  readonly #options: SessionOptions;
  readonly #key: string;
  readonly #endedKey: string;
  readonly #changed = new Emitter<ResolvedSession>();
  readonly #confirmed = new Emitter<ResolvedSession>();
  #fixedToken: string | null;
  #state: SessionState = { is: "unknown" };
  #confirmedAt = -Infinity;
  #prepared: PreparedAnswer | null = null;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#key = storageKey(options.appName, "token");
    this.#endedKey = storageKey(options.appName, "ended");
    this.#fixedToken = options.token ?? null;
    if (options.initial !== ANONYMOUS_SESSION)
      this.#state = { is: "known", session: options.initial, witness: this.witness };
  }

  /** Null with cookie authentication. */
  get token(): string | null {
    if (this.#options.credentials === "cookie") return null;
    return this.#fixedToken ?? this.#options.storage.get(this.#key);
  }

  set token(token: string | null) {
    const { storage, credentials, appName, platform } = this.#options;
    this.#fixedToken = null;
    // Other tabs see that the session has changed, but not the user.
    if (credentials === "cookie")
      storage.set(storageKey(appName, "session"), `${platform.now()}-${platform.random()}`);
    else if (token === null) storage.remove(this.#key);
    else storage.set(this.#key, token);
    this.#state = { is: "unknown" };
  }

  /**
   * Stores that the session of the current token must be ended on the server, which can't be
   * reached now. Otherwise the server's cookie, which scripts can't remove, would sign the user in
   * again.
   */
  endLater(): void {
    const { token } = this;
    if (token !== null) this.#options.storage.set(this.#endedKey, token);
  }

  /**
   * Changes when another user signs in, also in another tab, and does not reveal the token. A
   * cookie is changed without a trace when a page of the server signs in, so only the witness of a
   * token proves the user.
   */
  get witness(): string {
    const { credentials, storage, appName } = this.#options;
    if (credentials === "cookie")
      return `cookie:${storage.get(storageKey(appName, "session")) ?? ""}`;
    const { token } = this;
    return token === null ? "nobody" : `token:${fingerprint(token)}`;
  }
  /** The witness, if it identifies exactly one user. */
  get proof(): string | null {
    return this.token === null ? null : this.witness;
  }

  /**
   * The user on whose behalf requests may be sent; undefined until the server has responded, and
   * again when the user may have changed.
   */
  get userId(): string | null | undefined {
    return this.isKnown ? this.authorId : undefined;
  }
  /** The author of new writes, as shown by the page; undefined until the server has responded. */
  get authorId(): string | null | undefined {
    return this.#state.is === "unknown" ? undefined : this.#state.session.userId;
  }
  /**
   * Adds the user who makes a request to its path, because without a token a cookie may be that of
   * another user by the time the request arrives: the server then refuses it.
   */
  named(path: string): string {
    // The page expects another user to have signed in, but not which one.
    const author = this.token !== null || this.isInvalidated ? undefined : this.authorId;
    if (author === undefined) return path;
    const separator = path.includes("?") ? "&" : "?";
    return `${path}${separator}user_id=${encodeURIComponent(author ?? "")}`;
  }

  /** Loads the session again if a request failed because it named another user. */
  refreshAfter(error: unknown): void {
    if (!(error instanceof PylonClientError)) return;
    if (error.status === 401 && error.field === "user_id") this.refresh().catch(() => undefined);
  }

  /** The user whose writes may be shown. */
  get visibleUserId(): string | null | undefined {
    return this.isOutdated ? undefined : this.authorId;
  }
  /** Another tab has signed in or out since. */
  get isOutdated(): boolean {
    return this.#state.is !== "unknown" && this.#state.witness !== this.witness;
  }
  /** The session is being reloaded from the server. */
  get isInvalidated(): boolean {
    return this.#state.is === "doubted";
  }
  get isKnown(): boolean {
    return this.#state.is === "known" && !this.isOutdated;
  }

  get resolved(): ResolvedSession {
    return this.#state.is === "unknown" ? ANONYMOUS_SESSION : this.#state.session;
  }

  onChange(listener: (session: ResolvedSession) => void): () => void {
    return this.#changed.on(listener);
  }

  /**
   * Verifies that requests are sent as the known user. A cookie can change at any time, because a
   * page of the server can sign in without notice; so the server is asked, unless it has just
   * responded.
   *
   * @throws PylonClientError
   */
  async revalidate(): Promise<void> {
    const { credentials, platform } = this.#options;
    if (credentials === "cookie" && platform.now() - this.#confirmedAt > REVALIDATED_MS)
      await this.refresh();
  }

  /** Listens to confirmations of the session by the server, even if it is unchanged. */
  onConfirmed(listener: (session: ResolvedSession) => void): () => void {
    return this.#confirmed.on(listener);
  }

  /**
   * The user may have changed: nothing is sent as the known user before the server has responded.
   */
  invalidate(): void {
    this.#prepared = null;
    if (this.#state.is === "known") this.#state = { ...this.#state, is: "doubted" };
  }

  /** Uses the stored session of the same token until the server responds. */
  restore(session: ResolvedSession): void {
    this.#resolve(session);
  }

  /**
   * Loads the session of the token from the server.
   *
   * @throws PylonClientError with status 401 if the token is no longer valid; the token is then
   *   removed
   */
  refresh(): Promise<ResolvedSession> {
    return this.#refresh(this.#ask());
  }

  /**
   * Starts the request for `refreshPrepared` early, while the disk is opened and code is loaded.
   */
  prepare(): void {
    const prepared = { witness: this.witness, answer: this.#ask() };
    prepared.answer.catch(() => undefined);
    this.#prepared = prepared;
  }

  /** Like `refresh`, using the prepared request, unless the credentials have changed since. */
  refreshPrepared(): Promise<ResolvedSession> {
    const prepared = this.#prepared;
    this.#prepared = null;
    return prepared?.witness === this.witness ? this.#refresh(prepared.answer) : this.refresh();
  }

  async #refresh(asked: PreparedAnswer["answer"]): Promise<ResolvedSession> {
    const { witness } = this;
    const answer = await asked;
    // The user has signed in during the request: the response is about the previous session.
    if (witness !== this.witness) return this.refresh();
    if (!(answer instanceof PylonClientError)) return this.#confirm(answer);
    this.token = null;
    this.#confirm({ ...ANONYMOUS_SESSION });
    throw answer;
  }

  /** Creates a guest and stores the token. */
  async signInAsGuest(): Promise<{ readonly token: string; readonly userId: string }> {
    const { createGuest } = await loadOnline(this.#options.platform);
    const guest = await createGuest(this.#httpOf(() => null));
    this.token = guest.token;
    return guest;
  }

  /** @returns an error if the token is no longer valid */
  async #ask(): Promise<ResolvedSession | PylonClientError> {
    const { storage } = this.#options;
    const ended = storage.get(this.#endedKey);
    if (ended !== null) {
      // Its user has signed out while the server was out of reach.
      const { endSession } = await loadOnline(this.#options.platform);
      await endSession(this.#httpOf(() => ended));
      storage.remove(this.#endedKey);
    }
    const answer = this.#httpOf(() => this.token).request("GET", "/api/auth/me");
    answer.catch(() => undefined);
    const { readSession } = await loadOnline(this.#options.platform);
    return readSession(answer);
  }

  #httpOf(token: () => string | null): HttpClient {
    const { baseUrl, platform } = this.#options;
    return new HttpClient(baseUrl, platform, token);
  }

  #confirm(session: ResolvedSession): ResolvedSession {
    this.#confirmedAt = this.#options.platform.now();
    const resolved = this.#resolve(session);
    this.#confirmed.emit(resolved);
    return resolved;
  }

  #resolve(session: ResolvedSession): ResolvedSession {
    const before = this.#state.is === "unknown" ? null : this.#state.session;
    const isOther = before === null || !isSame(session, before);
    const now = isOther ? session : before;
    this.#state = { is: "known", session: now, witness: this.witness };
    if (isOther) this.#changed.emit(session);
    return now;
  }
}

/** A 53-bit hash of a token, to recognize it: too short to derive the token. */
export function fingerprint(token: string): string {
  return hash53(token).toString(36);
}

/**
 * cyrb53. It protects no secret and need not resist attacks; `crypto.subtle` is unavailable on
 * plain http.
 */
function hash53(text: string): number {
  let [high, low] = [0xdeadbeef, 0x41c6ce57];
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    high = Math.imul(high ^ unit, 2654435761);
    low = Math.imul(low ^ unit, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return 4294967296 * (2097151 & low) + (high >>> 0);
}
