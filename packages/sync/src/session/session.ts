import { AuthContextSchema, GuestSessionSchema } from "@pylonsync/protocol";
import { parseAnswer } from "../connection/answer.ts";
import { Emitter } from "../platform/emitter.ts";
import { PylonClientError } from "../connection/errors.ts";
import { HttpClient } from "../connection/http.ts";
import type { Platform } from "../platform/platform.ts";
import { storageKey, type Storage } from "./storage.ts";

/** Who the server says is signed in. */
export interface ResolvedSession {
  readonly userId: string | null;
  readonly tenantId: string | null;
  readonly isAdmin: boolean;
  readonly isGuest: boolean;
  readonly roles: readonly string[];
}

/** How long the server's word about a cookie holds for a write. */
const ASSURED_MS = 1_000;

/** Nobody; the value itself also stands for what is not known yet. */
export const ANONYMOUS_SESSION: ResolvedSession = Object.freeze({
  userId: null,
  tenantId: null,
  isAdmin: false,
  isGuest: false,
  roles: [],
});

/** Whether they may read the same. */
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

/**
 * Reads what the server answers to who is calling.
 *
 * @throws PylonClientError `UNEXPECTED_ANSWER` when it is something else
 * @example
 * const session = toResolvedSession(await engine.request("GET", "/api/auth/me"));
 */
export function toResolvedSession(answer: unknown): ResolvedSession {
  const context = parseAnswer(AuthContextSchema, answer);
  return {
    userId: context.user_id,
    tenantId: context.tenant_id ?? null,
    isAdmin: context.is_admin,
    isGuest: context.is_guest === true,
    roles: context.roles,
  };
}

/** What a session is made of. */
export interface SessionOptions {
  readonly baseUrl: string;
  readonly platform: Platform;
  readonly storage: Storage;
  readonly appName: string;
  /** Takes the place of a stored token. */
  readonly token: string | undefined;
  readonly credentials: Credentials;
  /**
   * Who is signed in, as it is known before the server is asked; `ANONYMOUS_SESSION` when it is
   * not.
   */
  readonly initial: ResolvedSession;
}

/**
 * What a request is signed in by: a token that the page keeps, or the cookie that no script can
 * read.
 */
export type Credentials = "token" | "cookie";

/**
 * What is known of who is there.
 *
 * ```
 * unknown --the server, or the disk for this token--> known --somebody may have signed in-> doubted
 *    ^                                                  |  ^                                   |
 *    +------------------another token-------------------+  +------------the server-------------+
 * ```
 *
 * `witness` is the one that the session was told for: where it is another now, another tab has
 * signed in or out since, and what is known is outdated.
 */
type SessionState =
  | { readonly is: "unknown" }
  | {
      readonly is: "known" | "doubted";
      readonly session: ResolvedSession;
      readonly witness: string;
    };

/** The token and who it stands for. */
export class Session {
  readonly #options: SessionOptions;
  readonly #key: string;
  readonly #http: HttpClient;
  readonly #anonymousHttp: HttpClient;
  readonly #changed = new Emitter<ResolvedSession>();
  readonly #confirmed = new Emitter<ResolvedSession>();
  #fixedToken: string | null;
  #state: SessionState = { is: "unknown" };
  #confirmedAt = -Infinity;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#key = storageKey(options.appName, "token");
    this.#fixedToken = options.token ?? null;
    if (options.initial !== ANONYMOUS_SESSION)
      this.#state = { is: "known", session: options.initial, witness: this.witness };
    this.#http = new HttpClient(options.baseUrl, options.platform, () => this.token);
    this.#anonymousHttp = new HttpClient(options.baseUrl, options.platform, () => null);
  }

  /** Null where a cookie signs in. */
  get token(): string | null {
    if (this.#options.credentials === "cookie") return null;
    return this.#fixedToken ?? this.#options.storage.get(this.#key);
  }

  set token(token: string | null) {
    const { storage, credentials, appName, platform } = this.#options;
    this.#fixedToken = null;
    // Other tabs see that somebody has signed in or out, and not as whom.
    if (credentials === "cookie")
      storage.set(storageKey(appName, "session"), `${platform.now()}-${platform.random()}`);
    else if (token === null) storage.remove(this.#key);
    else storage.set(this.#key, token);
    this.#state = { is: "unknown" };
  }

  /**
   * Changes when somebody else signs in, in another tab too, and tells no token. A cookie leaves no
   * trace where a page of the server signs in, so it does not prove who is there: only that of a
   * token does.
   */
  get witness(): string {
    const { credentials, storage, appName } = this.#options;
    if (credentials === "cookie")
      return `cookie:${storage.get(storageKey(appName, "session")) ?? ""}`;
    const { token } = this;
    return token === null ? "nobody" : `token:${fingerprint(token)}`;
  }
  /** The witness, where it stands for one user and no other. */
  get proof(): string | null {
    return this.token === null ? null : this.witness;
  }

  /**
   * Who may be acted as; undefined until the server has told, and again when somebody else may have
   * signed in since.
   */
  get userId(): string | null | undefined {
    return this.isKnown ? this.authorId : undefined;
  }
  /** Who the page says is there, so whose a write is; undefined until the server has told. */
  get authorId(): string | null | undefined {
    return this.#state.is === "unknown" ? undefined : this.#state.session.userId;
  }
  /** Whose writes may be shown. */
  get visibleUserId(): string | null | undefined {
    return this.isOutdated ? undefined : this.authorId;
  }
  /** Another tab has signed in or out since. */
  get isOutdated(): boolean {
    return this.#state.is !== "unknown" && this.#state.witness !== this.witness;
  }
  /** The server is asked again who it is. */
  get isDoubted(): boolean {
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
   * Makes sure that what is sent now is sent as who is known. A cookie can be another's at any
   * time, as a page of the server's that has signed in tells nobody; so the server is asked, unless
   * it has just told.
   *
   * @throws PylonClientError
   */
  async revalidate(): Promise<void> {
    const { credentials, platform } = this.#options;
    if (credentials === "cookie" && platform.now() - this.#confirmedAt > ASSURED_MS)
      await this.refresh();
  }

  /** Told each time the server has said who it is, the same one as before too. */
  onConfirmed(listener: (session: ResolvedSession) => void): () => void {
    return this.#confirmed.on(listener);
  }

  /**
   * Somebody else may have signed in: nothing is done as the one who is known before the server has
   * told.
   */
  invalidate(): void {
    if (this.#state.is === "known") this.#state = { ...this.#state, is: "doubted" };
  }

  /** Takes what was kept for this very token as the answer, until the server gives one. */
  restore(session: ResolvedSession): void {
    this.#resolve(session);
  }

  /**
   * Asks the server who the token stands for.
   *
   * @throws PylonClientError with status 401 when it knows the token no more; the token is dropped
   *   then
   */
  async refresh(): Promise<ResolvedSession> {
    const { witness } = this;
    const answer = await this.#ask();
    // Somebody has signed in while the answer was on its way: it is about who was there before.
    if (witness !== this.witness) return this.refresh();
    if (!(answer instanceof PylonClientError)) return this.#confirm(answer);
    this.token = null;
    this.#confirm({ ...ANONYMOUS_SESSION });
    throw answer;
  }

  /** Makes a guest of their own and keeps the token. */
  async signInAsGuest(): Promise<{ readonly token: string; readonly userId: string }> {
    const guest = parseAnswer(
      GuestSessionSchema,
      await this.#anonymousHttp.request("POST", "/api/auth/guest", {}),
    );
    this.token = guest.token;
    return { token: guest.token, userId: guest.user_id };
  }

  /** @returns an error where the token is not known any more */
  async #ask(): Promise<ResolvedSession | PylonClientError> {
    try {
      return toResolvedSession(await this.#http.request("GET", "/api/auth/me"));
    } catch (error) {
      if (error instanceof PylonClientError && error.status === 401) return error;
      throw error;
    }
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

/** 53 bits of a token, by which it is known again: too few to make it of them. */
export function fingerprint(token: string): string {
  return hash53(token).toString(36);
}

/**
 * cyrb53. It has no secret to keep and need not withstand anybody: `crypto.subtle` is not there on
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
