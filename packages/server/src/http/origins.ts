import { isOwnOrigin } from "../request/page-origin.ts";

/** Decides which web pages may call this server, and returns the headers that tell a browser so. */
export class Origins {
  readonly #allowed: ReadonlySet<string>;
  readonly #any: boolean;
  readonly #dev: boolean;

  /**
   * @param origins exact origins such as `https://app.example.com`; `*` for any
   * @param options.dev whether pages of this machine may call, at any port
   */
  constructor(origins: readonly string[], { dev }: { readonly dev: boolean }) {
    this.#allowed = new Set(origins);
    this.#any = this.#allowed.has("*");
    this.#dev = dev;
  }

  /**
   * A request without Origin comes from no page; a page of this server's own host is always
   * allowed.
   */
  allows(origin: string | null, host: string | null): boolean {
    if (origin === null || this.#any || this.#allowed.has(origin)) return true;
    return isOwnOrigin(origin, host, this.#dev);
  }

  /**
   * Returns the CORS headers for a response to `origin`. An origin that is not allowed gets none,
   * so that the browser hides the response from the page.
   */
  headers(origin: string, host: string | null): Readonly<Record<string, string>> {
    if (!this.allows(origin, host)) return { Vary: "Origin" };
    return {
      Vary: "Origin",
      "Access-Control-Allow-Origin": origin,
      "Access-Control-Allow-Credentials": "true",
      "Access-Control-Expose-Headers": EXPOSED,
    };
  }

  /** Returns the response to a preflight. */
  preflight(origin: string | null, host: string | null): Response {
    const headers = origin === null ? {} : this.headers(origin, host);
    return new Response(null, {
      status: 204,
      headers: {
        ...headers,
        "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
        "Access-Control-Allow-Headers":
          "Authorization, Content-Type, Idempotency-Key, X-Filename, X-Checksum-Sha256, Range, " +
          "If-None-Match, Tus-Resumable, Upload-Length, Upload-Metadata, Upload-Offset",
        "Access-Control-Max-Age": "86400",
      },
    });
  }
}

const EXPOSED =
  "ETag, Content-Disposition, Content-Range, X-Request-Id, Retry-After, RateLimit-Limit, " +
  "RateLimit-Remaining, RateLimit-Reset, Location, Tus-Resumable, Tus-Version, Upload-Offset, " +
  "Upload-Length, Upload-Expires";
