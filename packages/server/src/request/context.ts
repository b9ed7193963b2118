import type { Caller, Identity } from "../identity/identity.ts";
import { parseScanned, RequestBody, type BodyBounds } from "./body.ts";
import { queryOf, urlOf } from "./request-url.ts";

/** The methods that routes have. */
export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** One request on its way through a route. */
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

  /** @param bounds of the body; null: it was read already, or is not to be read */
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

  /** The client's address, as the trusted proxies tell it. */
  get address(): string {
    return this.#address();
  }

  /** The path with the query, as in `/api/webhooks/paid?from=shop`. */
  get target(): string {
    const { pathname, search } = urlOf(this.request);
    return pathname + search;
  }

  /** A parameter of the path. */
  param(name: string): string {
    return this.params[name] ?? "";
  }

  /** A parameter of the query string, or null. */
  query(name: string): string | null {
    this.#query ??= queryOf(this.request);
    return this.#query.get(name);
  }

  /**
   * The JSON body. It comes as slowly as its sender likes: the caller may have been signed out, or
   * have lost a role, since the request began, and is then refused.
   *
   * @param fallback what an empty body means; without it an empty body is refused
   * @throws PylonError INVALID_JSON, PAYLOAD_TOO_LARGE, RATE_LIMITED, OVERLOADED, UNAUTHORIZED
   */
  async json(fallback?: unknown): Promise<unknown> {
    const text = await this.#takeBody().jsonText();
    const confirmed = this.#confirm();
    if (confirmed !== null) await confirmed;
    return text === "" && fallback !== undefined ? fallback : parseScanned(text);
  }

  /**
   * The body as text, with the caller confirmed as in `json`.
   *
   * @throws PylonError PAYLOAD_TOO_LARGE, RATE_LIMITED, OVERLOADED, UNAUTHORIZED
   */
  async text(): Promise<string> {
    const text = await this.#takeBody().text();
    await this.#confirm();
    return text;
  }

  /**
   * For a handler that reads the body piece by piece.
   *
   * @throws PylonError UNAUTHORIZED when the caller's session or rights changed since the request
   *   began
   */
  async confirm(): Promise<void> {
    await this.#confirm();
  }

  /** The request was answered: its body is no longer held. */
  [Symbol.dispose](): void {
    this.#body?.[Symbol.dispose]();
  }

  #takeBody(): RequestBody {
    if (this.#bounds === null) throw new Error("This context has no body to read.");
    return (this.#body ??= new RequestBody(this.request, this.#bounds));
  }
}
