import { PylonError } from "@pylonsync/protocol";
import type { Authenticator } from "../auth/sessions/authenticator.ts";
import { ANONYMOUS_IDENTITY, isSameIdentity, type Identity } from "../identity/identity.ts";
import { bearerToken } from "../request/bearer.ts";
import type { Endpoint } from "../request/endpoint.ts";
import type { Route, RouteTokens } from "../request/route.ts";
import { clientAddress } from "./client-address.ts";
import type { Origins } from "./origins.ts";
import type { TokenGuesses } from "./token-guesses.ts";

/** Returns the remote address of the connection; called only when it is needed. */
export type Peer = () => string;

/** The services with which callers are identified. */
export interface CallerIdentityOptions {
  readonly trustedHops: number;
  readonly authenticator: Authenticator;
  readonly origins: Origins;
  readonly guesses: TokenGuesses;
}

/** Identifies the caller and the address of a request, and checks the origin of its page. */
export class CallerIdentity {
  readonly #options: CallerIdentityOptions;

  constructor(options: CallerIdentityOptions) {
    this.#options = options;
  }

  /** Returns the client's address, which may be behind trusted proxies. */
  addressOf(request: Request, peer: Peer): string {
    const { trustedHops } = this.#options;
    return trustedHops === 0
      ? peer()
      : clientAddress(peer(), request.headers.get("x-forwarded-for"), trustedHops);
  }

  /** @throws PylonError ORIGIN_REJECTED if the origin of the page is not allowed */
  checkOrigin(request: Request): void {
    const origin = request.headers.get("origin");
    if (this.#options.origins.allows(origin, request.headers.get("host"))) return;
    throw new PylonError(
      "ORIGIN_REJECTED",
      `Pages of ${origin ?? ""} may not connect to this server.`,
      {
        hint: "Add the origin to PYLON_CORS_ORIGIN.",
      },
    );
  }

  /**
   * Checks the origin in dev mode, where no sign-in is needed: any web page that the developer
   * visits could otherwise act as the developer.
   *
   * @throws PylonError ORIGIN_REJECTED
   */
  checkDevOrigin(request: Request): void {
    if (bearerToken(request.headers) !== null || this.#options.authenticator.isOwnPage(request))
      return;
    this.checkOrigin(request);
  }

  /**
   * @param isForAdmin whether only the admin may send the request
   * @throws PylonError UNAUTHORIZED, CSRF_REJECTED, RATE_LIMITED
   */
  async identify(
    request: Request,
    isForAdmin: boolean,
    address: Peer,
    token = bearerToken(request.headers),
  ): Promise<Identity> {
    const { authenticator, guesses } = this.#options;
    let identity: Identity;
    try {
      identity = await (token === null
        ? authenticator.identify(request)
        : authenticator.identifyToken(token));
    } catch (error) {
      if (token !== null && error instanceof PylonError && error.code === "UNAUTHORIZED")
        await guesses.wrong(token, isForAdmin, address());
      throw error;
    }
    if (identity.caller.isAdmin && identity.sessionId === null) await guesses.check(address());
    return identity;
  }

  /** @returns null if the token is not valid or the request is rejected for another reason */
  async identifyOrNull(
    request: Request,
    token: string | null,
    address: Peer,
  ): Promise<Identity | null> {
    try {
      return await this.identify(request, false, address, token);
    } catch (error) {
      if (error instanceof PylonError) return null;
      throw error;
    }
  }

  /**
   * Returns synchronously if the session is known, as for most requests.
   *
   * @throws PylonError as `identify`
   */
  identifyFor(route: Route, request: Request, address: Peer): Identity | Promise<Identity> {
    const token = bearerToken(request.headers);
    if (token !== null && route.tokens?.matches(token) === true)
      return route.tokens.identify(request, token);
    const known = token === null ? undefined : this.#options.authenticator.knownToken(token);
    if (known !== undefined) return known;
    const identified = this.identify(request, route.access.startsWith("admin"), address);
    if (route.ignoresInvalidTokens !== true) return identified;
    return identified.catch((error: unknown) => {
      if (error instanceof PylonError && error.code === "UNAUTHORIZED") return ANONYMOUS_IDENTITY;
      throw error;
    });
  }

  /** @throws PylonError as `identify` */
  async identifyForEndpoint(
    { signIn }: Endpoint,
    request: Request,
    address: Peer,
  ): Promise<Identity> {
    if (signIn === "nothing") return ANONYMOUS_IDENTITY;
    if (signIn === "cookie") this.#options.authenticator.checkOrigin(request);
    else if (bearerToken(request.headers) === null) return ANONYMOUS_IDENTITY;
    return this.identify(request, false, address);
  }

  /**
   * @param tokens the tokens that only this route accepts
   * @returns null if the identity is known to be current; otherwise a promise to await
   * @throws PylonError UNAUTHORIZED if the request now belongs to another caller
   */
  confirm(request: Request, identity: Identity, tokens?: RouteTokens): Promise<void> | null {
    const { authenticator } = this.#options;
    if (authenticator.isCurrent(identity)) return null;
    const token = bearerToken(request.headers);
    return this.#confirm(
      token !== null && tokens?.matches(token) === true
        ? tokens.identify(request, token)
        : authenticator.identify(request),
      identity,
    );
  }

  async #confirm(now: Promise<Identity>, identity: Identity): Promise<void> {
    if (isSameIdentity(await now, identity)) return;
    throw new PylonError("UNAUTHORIZED", "The session changed while this request was received.", {
      hint: "Send the request again.",
    });
  }
}
