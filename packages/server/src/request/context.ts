import type { Caller, Identity } from "../data/caller.ts";
import { readJson } from "./body.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** One request on its way through a route. */
export class RequestContext {
  readonly request: Request;
  readonly params: Readonly<Record<string, string>>;
  readonly identity: Identity;
  readonly requestId: string;
  readonly #address: () => string;
  #url: URL | undefined;

  constructor(
    request: Request,
    params: Readonly<Record<string, string>>,
    identity: Identity,
    address: () => string,
    requestId: string,
  ) {
    this.request = request;
    this.params = params;
    this.identity = identity;
    this.#address = address;
    this.requestId = requestId;
  }

  get caller(): Caller {
    return this.identity.caller;
  }

  /** The client's address, as the trusted proxies tell it. */
  get address(): string {
    return this.#address();
  }

  get url(): URL {
    return (this.#url ??= new URL(this.request.url));
  }

  /** A parameter of the path. */
  param(name: string): string {
    return this.params[name] ?? "";
  }

  /** A parameter of the query string, or null. */
  query(name: string): string | null {
    return this.url.searchParams.get(name);
  }

  /**
   * The JSON body.
   *
   * @param fallback what an empty body means; without it an empty body is refused
   * @throws PylonError INVALID_JSON, PAYLOAD_TOO_LARGE
   */
  json(fallback?: unknown): Promise<unknown> {
    return readJson(this.request, fallback);
  }
}
