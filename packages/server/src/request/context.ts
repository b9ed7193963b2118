import type { Caller, Identity } from "../identity/identity.ts";
import { parseScanned, RequestBody, type BodyBounds } from "./body.ts";
import { queryOf, urlOf } from "./request-url.ts";

/** The methods that routes can have. */
export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** One request that a route handles. */
export class RequestContext implements Disposable {
  readonly request: Request;
  readonly params: Readonly<Record<string, string>>;
  readonly identity: Identity;
  readonly requestId: string;
  readonly #address: () => string;
  readonly #confirm: () => Promise<void> | null;
  readonly #bounds: BodyBounds | null;
  #body: RequestBody | undefined;
  #query: URLSearchParams | undefined;

  /** @param bounds the limits of the body; null if it was already read, or must not be read */
  constructor(
    request: Request,
    params: Readonly<Record<string, string>>,
    identity: Identity,
    address: () => string,
    requestId: string,
    confirm: () => Promise<void> | null = () => null,
    bounds: BodyBounds | null = null,
  ) {
    this.request = request;
    this.params = params;
    this.identity = identity;
    this.#address = address;
    this.requestId = requestId;
    this.#confirm = confirm;
    this.#bounds = bounds;
  }

  get caller(): Caller {
    return this.identity.caller;
  }

  /** The client's address, as reported by the trusted proxies. */
  get address(): string {
    return this.#address();
  }

  /** The path with the query, such as `/api/webhooks/paid?from=shop`. */
  get target(): string {
    const { pathname, search } = urlOf(this.request);
    return pathname + search;
  }

  /** Returns a parameter of the path. */
  param(name: string): string {
    return this.params[name] ?? "";
  }

  /** Returns a parameter of the query string, or null. */
  query(name: string): string | null {
    // Most requests have none, and are spared its object.
    if (!this.request.url.includes("?")) return null;
    this.#query ??= queryOf(this.request);
    return this.#query.get(name);
  }

  /**
   * Reads the JSON body. The sender decides how long that takes: if the caller was signed out or
   * lost a role since the request began, the request is rejected.
   *
   * @param fallback the value of an empty body; without it an empty body is rejected
   * @throws PylonError INVALID_JSON, PAYLOAD_TOO_LARGE, RATE_LIMITED, OVERLOADED, UNAUTHORIZED
   */
  json(fallback?: unknown): Promise<unknown> {
    return this.useJson(fallback, (value) => value);
  }

  /**
   * Reads the JSON body as `json` does, and calls `use` with its value.
   *
   * @returns what `use` returns. The most frequent route is spared one promise.
   */
  useJson<T>(fallback: unknown, use: (value: unknown) => T | Promise<T>): Promise<T> {
    return this.#takeBody().jsonText((text) => {
      const parse = (): T | Promise<T> =>
        use(text === "" && fallback !== undefined ? fallback : parseScanned(text));
      const confirmed = this.#confirm();
      return confirmed === null ? parse() : confirmed.then(parse);
    });
  }

  /**
   * Reads the body as text, and checks the caller again as `json` does.
   *
   * @throws PylonError PAYLOAD_TOO_LARGE, RATE_LIMITED, OVERLOADED, UNAUTHORIZED
   */
  async text(): Promise<string> {
    const text = await this.#takeBody().text();
    await this.#confirm();
    return text;
  }

  /**
   * Reads the body as `text` does, for the check of a signature: its UTF-8 is exactly the body,
   * while a text has no byte order mark.
   *
   * @throws PylonError PAYLOAD_TOO_LARGE, RATE_LIMITED, OVERLOADED, UNAUTHORIZED
   */
  async exactText(): Promise<string> {
    const text = await this.#takeBody().exactText();
    await this.#confirm();
    return text;
  }

  /**
   * Checks the caller again, for a handler that reads the body in chunks.
   *
   * @throws PylonError UNAUTHORIZED when the caller's session or rights changed since the request
   *   began
   */
  async confirm(): Promise<void> {
    await this.#confirm();
  }

  /** Releases the body after the response was sent. */
  [Symbol.dispose](): void {
    this.#body?.[Symbol.dispose]();
  }

  #takeBody(): RequestBody {
    if (this.#bounds === null) throw new Error("This context has no body to read.");
    return (this.#body ??= new RequestBody(this.request, this.#bounds));
  }
}
