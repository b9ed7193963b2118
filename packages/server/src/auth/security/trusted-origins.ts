import { PylonError } from "@pylonsync/protocol";
import { isOwnOrigin } from "../../request/page-origin.ts";
import { originOf } from "../../request/request-url.ts";

/** Where this server is, and whom it trusts. */
export interface OriginSettings {
  readonly dev: boolean;
  readonly publicUrl: string | null;
  /** Exact origins of pages that may send cookies and be redirected to. */
  readonly trusted: () => readonly string[];
  /** Exact origins of pages that may send cookies only. */
  readonly csrf: readonly string[];
}

/** Which pages may act with a cookie, and where a browser may be sent after a sign-in. */
export class TrustedOrigins {
  readonly #settings: OriginSettings;

  constructor(settings: OriginSettings) {
    this.#settings = settings;
  }

  /** Where browsers find this server, without a slash at the end. */
  publicUrl(request: Request): string {
    return this.#settings.publicUrl ?? originOf(request);
  }

  /**
   * Where a link in a mail leads to. Never where the request says that it came to: who asks for a
   * reset in another's name would have the mail lead to a host of their own.
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
   * Whether a page of this origin may act with the cookie. Null: the request comes from no page of
   * another origin.
   */
  mayUseCookie(request: Request): boolean {
    const origin = request.headers.get("origin");
    if (origin === null) return isSameSite(request.headers.get("sec-fetch-site"), request.method);
    return (
      this.#isTrusted(origin) ||
      this.#isOwn(origin, request) ||
      this.#settings.csrf.includes(origin)
    );
  }

  /**
   * A place that a browser may be sent to: a path of this server, or a URL of a trusted origin.
   *
   * @returns the absolute URL
   * @throws PylonError INVALID_REDIRECT
   */
  redirectTarget(request: Request, target: string, field = "callback"): string {
    const { dev, publicUrl } = this.#settings;
    const base = this.publicUrl(request);
    // Browsers read \ as /, and drop tabs and line ends: what they would read differently from us
    // is refused.
    if (/[\\\t\r\n]/.test(target) || !URL.canParse(target, base)) throw refused(target, field);
    const url = new URL(target, base);
    const isHttp = url.protocol === "https:" || url.protocol === "http:";
    if (!isHttp || url.username !== "" || url.password !== "") throw refused(target, field);
    // Once the address is known, what the request says of it no longer counts.
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

/** A browser says where a request without Origin comes from; what says nothing is not a browser. */
function isSameSite(site: string | null, method: string): boolean {
  return (
    site === null ||
    site === "same-origin" ||
    site === "none" ||
    method === "GET" ||
    method === "HEAD"
  );
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
