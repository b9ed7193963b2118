import type { Caller, Identity } from "../data/caller.ts";
import { parseJson, readText } from "./body.ts";
import { urlOf } from "./request-url.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** One request on its way through a route. */
export class RequestContext {
  readonly request: Request;
  readonly params: Readonly<Record<string, string>>;
  readonly identity: Identity;
  readonly requestId: string;
  readonly #address: () => string;
  readonly #confirm: () => Promise<void>;
  #url: URL | undefined;

  constructor(
    request: Request,
    params: Readonly<Record<string, string>>,
    identity: Identity,
    address: () => string,
    requestId: string,
    confirm: () => Promise<void> = () => Promise.resolve(),
  ) {
    this.request = request;
    this.params = params;
    this.identity = identity;
    this.#address = address;
    this.requestId = requestId;
    this.#confirm = confirm;
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
    const { pathname, search } = this.#urlOf();
    return pathname + search;
  }

  /** A parameter of the path. */
  param(name: string): string {
    return this.params[name] ?? "";
  }

  /** A parameter of the query string, or null. */
  query(name: string): string | null {
    return this.#urlOf().searchParams.get(name);
  }

  /**
   * The JSON body.
   *
   * @param fallback what an empty body means; without it an empty body is refused
   * @throws PylonError INVALID_JSON, PAYLOAD_TOO_LARGE, UNAUTHORIZED
   */
  async json(fallback?: unknown): Promise<unknown> {
    const text = await this.text();
    return text === "" && fallback !== undefined ? fallback : parseJson(text);
  }

  /**
   * The body. It comes as slowly as its sender likes: the caller may have been signed out, or have
   * lost a role, since the request began, and is then refused.
   *
   * @throws PylonError PAYLOAD_TOO_LARGE, UNAUTHORIZED
   */
  async text(): Promise<string> {
    const text = await readText(this.request);
    await this.confirm();
    return text;
  }

  /**
   * For a handler that reads the body piece by piece.
   *
   * @throws PylonError UNAUTHORIZED when the caller's session or rights changed since the request
   *   began
   */
  confirm(): Promise<void> {
    return this.#confirm();
  }

  #urlOf(): URL {
    return (this.#url ??= urlOf(this.request));
  }
}
