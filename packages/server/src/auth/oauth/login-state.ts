import { parse, serialize } from "cookie";
import { PylonError } from "@pylonsync/protocol";
import type { Platform } from "../../platform.ts";
import { tokenPurpose, type OneTimeTokens } from "../security/one-time-tokens.ts";
import { hashOf, isSameHash, newToken } from "../security/secrets.ts";

const LIFETIME_MS = 10 * 60_000;

/** A sign-in that is in progress at a provider. */
export interface LoginState {
  readonly provider: string;
  readonly redirectUri: string;
  readonly verifier: string;
  readonly nonce: string;
  /** Absolute URLs that are known to be trusted. */
  readonly callback: string;
  readonly errorCallback: string;
  /** The id of the session in which it was started. */
  readonly sessionId: string | null;
  /**
   * Whether the account is linked to the session's user, regardless of other users with the same
   * address: because the user `asked` for it, or because the sign-in was started by somebody who is
   * signed in, which is `implied`. Null: an ordinary sign-in.
   */
  readonly link: "asked" | "implied" | null;
}

interface Bound extends LoginState {
  /** The hash of the browser's cookie. */
  readonly browser: string;
}

const PURPOSE = tokenPurpose<Bound>("oauth");

/**
 * Stores what a sign-in needs when the browser returns: in the database, so that it can return to
 * another replica. It can return once, and only the browser that left can: a link that somebody
 * else started can't sign this browser in.
 */
export class LoginStates {
  readonly #tokens: OneTimeTokens;
  readonly #platform: Platform;
  readonly #isSecure: boolean;

  /** @param isSecure whether cookies are sent over https only */
  constructor(tokens: OneTimeTokens, platform: Platform, isSecure: boolean) {
    this.#tokens = tokens;
    this.#platform = platform;
    this.#isSecure = isSecure;
  }

  /** @returns the state for the provider's URL, and the `Set-Cookie` for the browser */
  async begin(
    request: Request,
    state: LoginState,
    usesFormPost: boolean,
  ): Promise<{ readonly state: string; readonly cookie: string }> {
    // Tabs of one browser that sign in at the same time share the cookie.
    const browser = this.#browser(request, usesFormPost) ?? newToken(this.#platform);
    const bound: Bound = { ...state, browser: hashOf(browser) };
    const cookie = serialize(this.#cookieName(usesFormPost), browser, {
      httpOnly: true,
      path: "/",
      maxAge: LIFETIME_MS / 1000,
      // A form that the provider's page posts carries no Lax cookie, and browsers accept None only
      // with Secure.
      sameSite: usesFormPost ? "none" : "lax",
      secure: usesFormPost || this.#isSecure,
    });
    return { state: await this.#tokens.issue(PURPOSE, bound, LIFETIME_MS), cookie };
  }

  /** Completes the sign-in that the state belongs to. @throws PylonError INVALID_STATE */
  async take(
    request: Request,
    state: string,
    provider: string,
    usesFormPost: boolean,
  ): Promise<LoginState> {
    const bound = await this.#tokens.take(PURPOSE, state);
    const browser = this.#browser(request, usesFormPost);
    if (
      bound === null ||
      bound.provider !== provider ||
      browser === null ||
      !isSameHash(bound.browser, hashOf(browser))
    ) {
      throw new PylonError(
        "INVALID_STATE",
        "This sign-in has ended or expired, or was started in another browser.",
        { field: "state", hint: "Start the sign-in again, and allow cookies." },
      );
    }
    return bound;
  }

  #browser(request: Request, usesFormPost: boolean): string | null {
    const value = parse(request.headers.get("cookie") ?? "")[this.#cookieName(usesFormPost)];
    return value !== undefined && /^[\w-]{43}$/.test(value) ? value : null;
  }

  /** `__Host-` prevents sites that share a domain with this one from setting it. */
  #cookieName(usesFormPost: boolean): string {
    return `${this.#isSecure ? "__Host-" : ""}pylon_oauth${usesFormPost ? "_form" : ""}`;
  }
}
