import { PylonError } from "@pylonsync/protocol";
import { ANONYMOUS_IDENTITY, type Identity } from "../../identity/identity.ts";
import { bearerToken } from "../../request/bearer.ts";
import type { SessionCookie } from "./session-cookie.ts";
import type { Sessions } from "./sessions.ts";
import type { TrustedOrigins } from "../security/trusted-origins.ts";

const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Tokens of another kind than a session's. */
export interface TokenKind {
  /** Whether the token has this kind's format. */
  matches(token: string): boolean;
  /** @throws PylonError UNAUTHORIZED */
  identify(token: string): Promise<Identity>;
}

/** Identifies the caller of a request: by its bearer token, otherwise by its cookie. */
export class Authenticator {
  readonly #sessions: Sessions;
  readonly #cookie: SessionCookie;
  readonly #origins: TrustedOrigins;
  readonly #kinds: readonly TokenKind[];

  constructor(
    sessions: Sessions,
    cookie: SessionCookie,
    origins: TrustedOrigins,
    kinds: readonly TokenKind[] = [],
  ) {
    this.#sessions = sessions;
    this.#cookie = cookie;
    this.#origins = origins;
    this.#kinds = kinds;
  }

  /**
   * @throws PylonError UNAUTHORIZED for a bearer token that is unknown, expired or revoked
   * @throws PylonError CSRF_REJECTED when a foreign page writes with the cookie
   */
  async identify(request: Request): Promise<Identity> {
    const token = bearerToken(request.headers);
    return token === null ? this.#byCookie(request) : this.identifyToken(token);
  }

  /** Whether a request's earlier identity is known to be still valid, without a database query. */
  isCurrent(identity: Identity): boolean {
    return this.#sessions.isCurrent(identity);
  }

  /**
   * Identifies the caller by the bearer token only, if cookies must be ignored.
   *
   * @throws PylonError UNAUTHORIZED
   */
  async identifyBearer(request: Request): Promise<Identity> {
    const token = bearerToken(request.headers);
    return token === null ? ANONYMOUS_IDENTITY : this.identifyToken(token);
  }

  /** Returns the identity of a session's token if it is known without a database query. */
  knownToken(token: string): Identity | undefined {
    for (const kind of this.#kinds) if (kind.matches(token)) return undefined;
    return this.#sessions.known(token);
  }

  /** @throws PylonError UNAUTHORIZED */
  identifyToken(token: string): Promise<Identity> {
    const kind = this.#kinds.find((candidate) => candidate.matches(token));
    return kind === undefined ? this.#sessions.identify(token) : kind.identify(token);
  }

  /** A cookie whose session has ended is not the page's fault, so the caller is anonymous. */
  async #byCookie(request: Request): Promise<Identity> {
    const token = this.#cookie.read(request.headers);
    if (token === null) return ANONYMOUS_IDENTITY;
    if (!this.#origins.mayUseCookie(request)) {
      if (SAFE_METHODS.has(request.method)) return ANONYMOUS_IDENTITY;
      throw csrf(request);
    }
    const identity = await this.#sessions.identify(token).catch((error: unknown) => {
      if (error instanceof PylonError && error.status === 401) return ANONYMOUS_IDENTITY;
      throw error;
    });
    // The admin token is not a session: this server never sets a cookie with it.
    return identity.sessionId === null ? ANONYMOUS_IDENTITY : identity;
  }

  /**
   * Prevents a foreign page from signing a browser in or out: routes that set the cookie also
   * require a trusted origin.
   *
   * @throws PylonError CSRF_REJECTED
   */
  checkOrigin(request: Request): void {
    if (this.isForeign(request)) throw csrf(request);
  }

  /** Whether the request comes from no page, or from one that may act with the cookie. */
  isOwnPage(request: Request): boolean {
    return this.#origins.mayUseCookie(request);
  }

  /** Whether a page that may not use the cookie sends a write without a token. */
  isForeign(request: Request): boolean {
    return (
      !SAFE_METHODS.has(request.method) &&
      bearerToken(request.headers) === null &&
      !this.#origins.mayUseCookie(request)
    );
  }
}

function csrf(request: Request): PylonError {
  return new PylonError(
    "CSRF_REJECTED",
    `Pages of ${request.headers.get("origin") ?? "other sites"} may not use the session cookie.`,
    {
      hint: "Add the origin to PYLON_TRUSTED_ORIGINS, or send Authorization: Bearer <token>.",
    },
  );
}
