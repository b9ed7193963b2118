import { PylonError } from "@pylonsync/protocol";
import { isOwnOrigin } from "../../request/page-origin.ts";
import { originOf } from "../../request/request-url.ts";

/** The URL of this server, and the origins that it trusts. */
export interface OriginSettings {
  readonly dev: boolean;
  readonly publicUrl: string | null;
  /** Exact origins of pages that may send cookies and be redirected to. */
  readonly trusted: () => readonly string[];
  /** Exact origins of pages that may send cookies only. */
  readonly csrf: readonly string[];
}

/** Decides which pages may act with a cookie, and to where a sign-in may redirect a browser. */
export class TrustedOrigins {
  readonly #settings: OriginSettings;

  constructor(settings: OriginSettings) {
    this.#settings = settings;
  }

  /** Returns the public URL of this server, without a trailing slash. */
  publicUrl(request: Request): string {
    return this.#settings.publicUrl ?? originOf(request);
  }

  /**
   * Returns the base URL of links in mails. It never depends on the request's headers: otherwise,
   * somebody who requests a reset in another's name could make the mail link to their own host.
   *
   * @throws PylonError PUBLIC_URL_NOT_CONFIGURED
   */
  mailedUrl(request: Request): string {
    const { dev, publicUrl } = this.#settings;
    if (publicUrl === null && !dev)
      throw new PylonError(
        "PUBLIC_URL_NOT_CONFIGURED",
        "The public URL of this server, which links in mails need, is not configured.",
        { hint: "Set PYLON_PUBLIC_URL." },
      );
    return this.publicUrl(request);
  }

  /**
   * Whether the page that sends the request may act with the cookie. A request that names no page
   * comes from another program.
   */
  mayUseCookie(request: Request): boolean {
    const origin = request.headers.get("origin");
    if (origin !== null) return this.#mayWriteFrom(origin, request);
    if (request.method === "GET" || request.method === "HEAD") return true;
    const site = request.headers.get("sec-fetch-site");
    if (site !== null) return site === "same-origin" || site === "none";
    // Older browsers send neither of the two, but the page's URL.
    const page = request.headers.get("referer");
    return (
      page === null || (URL.canParse(page) && this.#mayWriteFrom(new URL(page).origin, request))
    );
  }

  #mayWriteFrom(origin: string, request: Request): boolean {
    return (
      this.#isTrusted(origin) ||
      this.#isOwn(origin, request) ||
      this.#settings.csrf.includes(origin)
    );
  }

  /**
   * Checks a redirect target: a path of this server, or a URL of a trusted origin.
   *
   * @returns the absolute URL
   * @throws PylonError INVALID_REDIRECT
   */
  redirectTarget(request: Request, target: string, field = "callback"): string {
    const { dev, publicUrl } = this.#settings;
    const base = this.publicUrl(request);
    // Browsers read \ as /, and drop tabs and line breaks: a target that they would read
    // differently is rejected.
    if (/[\\\t\r\n]/.test(target) || !URL.canParse(target, base)) throw refused(target, field);
    const url = new URL(target, base);
    const isHttp = url.protocol === "https:" || url.protocol === "http:";
    if (!isHttp || url.username !== "" || url.password !== "") throw refused(target, field);
    // If the public URL is configured, the request's Host header is not used.
    const isOwn =
      url.origin === base || ((dev || publicUrl === null) && this.#isOwn(url.origin, request));
    if (!isOwn && !this.#isTrusted(url.origin)) throw refused(target, field);
    return url.href;
  }

  #isTrusted(origin: string): boolean {
    const { trusted, publicUrl } = this.#settings;
    return origin === publicUrl || trusted().includes(origin);
  }

  #isOwn(origin: string, request: Request): boolean {
    return isOwnOrigin(origin, request.headers.get("host"), this.#settings.dev);
  }
}

function refused(target: string, field: string): PylonError {
  return new PylonError(
    "INVALID_REDIRECT",
    `Redirects to "${target.slice(0, 200)}" are not allowed.`,
    {
      field,
      hint:
        "Use a path of this server, or add the origin to auth.trustedOrigins or " +
        "PYLON_TRUSTED_ORIGINS.",
    },
  );
}
