import { AuthContextSchema, GuestSessionSchema } from "@pylonsync/protocol";
import * as v from "valibot";
import { Emitter } from "./emitter.ts";
import { PylonClientError } from "./errors.ts";
import { HttpClient } from "./http.ts";
import type { Platform } from "./platform.ts";
import { storageKey, type Storage } from "./storage.ts";

/** Who the server says is signed in. */
export interface ResolvedSession {
  readonly userId: string | null;
  readonly tenantId: string | null;
  readonly isAdmin: boolean;
  readonly isGuest: boolean;
  readonly roles: readonly string[];
}

/** Nobody; the value itself also stands for what is not known yet. */
export const ANONYMOUS_SESSION: ResolvedSession = Object.freeze({ userId: null, tenantId: null, isAdmin: false, isGuest: false, roles: [] });

/** Reads what the server answers to who is calling. @throws ValiError when it is something else */
export function toResolvedSession(answer: unknown): ResolvedSession {
  const context = v.parse(AuthContextSchema, answer);
  return { userId: context.user_id, tenantId: context.tenant_id ?? null, isAdmin: context.is_admin, isGuest: context.is_guest === true, roles: context.roles };
}

export interface SessionOptions {
  readonly baseUrl: string;
  readonly platform: Platform;
  readonly storage: Storage;
  readonly appName: string;
  /** Takes the place of a stored token. */
  readonly token: string | undefined;
  readonly credentials: Credentials;
  /** Who is signed in, as it is known before the server is asked; `ANONYMOUS_SESSION` when it is not. */
  readonly initial: ResolvedSession;
}

/** What a request is signed in by: a token that the page keeps, or the cookie that no script can read. */
export type Credentials = "token" | "cookie";

/** The token and who it stands for. */
export class Session {
  readonly #options: SessionOptions;
  readonly #key: string;
  readonly #http: HttpClient;
  readonly #anonymousHttp: HttpClient;
  readonly #changed = new Emitter<ResolvedSession>();
  #fixedToken: string | null;
  #resolved: ResolvedSession | null = null;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#key = storageKey(options.appName, "token");
    this.#fixedToken = options.token ?? null;
    if (options.initial !== ANONYMOUS_SESSION) this.#resolved = options.initial;
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
    if (credentials === "cookie") storage.set(storageKey(appName, "session"), `${platform.now()}-${platform.random()}`);
    else if (token === null) storage.remove(this.#key);
    else storage.set(this.#key, token);
    this.#resolved = null;
  }

  /** Undefined until the server has told. */
  get userId(): string | null | undefined {
    return this.#resolved?.userId;
  }

  get resolved(): ResolvedSession {
    return this.#resolved ?? ANONYMOUS_SESSION;
  }

  onChange(listener: (session: ResolvedSession) => void): () => void {
    return this.#changed.on(listener);
  }

  /**
   * Asks the server who the token stands for.
   *
   * @throws PylonClientError with status 401 when it knows the token no more; the token is dropped then
   */
  async refresh(): Promise<ResolvedSession> {
    try {
      return this.#resolve(toResolvedSession(await this.#http.request("GET", "/api/auth/me")));
    } catch (error) {
      if (error instanceof PylonClientError && error.status === 401) {
        this.token = null;
        this.#resolve({ ...ANONYMOUS_SESSION });
      }
      throw error;
    }
  }

  /** Makes a guest of their own and keeps the token. */
  async signInAsGuest(): Promise<{ readonly token: string; readonly userId: string }> {
    const guest = v.parse(GuestSessionSchema, await this.#anonymousHttp.request("POST", "/api/auth/guest", {}));
    this.token = guest.token;
    return { token: guest.token, userId: guest.user_id };
  }

  #resolve(session: ResolvedSession): ResolvedSession {
    const isSame = JSON.stringify(session) === JSON.stringify(this.#resolved);
    if (isSame && this.#resolved !== null) return this.#resolved;
    this.#resolved = session;
    this.#changed.emit(session);
    return session;
  }
}
