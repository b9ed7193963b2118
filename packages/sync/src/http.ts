import { PylonClientError } from "./errors.ts";
import type { Platform } from "./platform.ts";

export type HttpMethod = "GET" | "POST" | "PATCH" | "DELETE";

/** JSON over HTTP with the caller's token. */
export class HttpClient {
  readonly #platform: Platform;
  readonly #token: () => string | null;
  readonly baseUrl: string;

  constructor(baseUrl: string, platform: Platform, token: () => string | null) {
    this.baseUrl = baseUrl.replace(/\/$/, "");
    this.#platform = platform;
    this.#token = token;
  }

  /**
   * @param path from the root: `/api/sync/pull?since=0`
   * @returns the JSON of the answer
   * @throws PylonClientError when the server refuses; TypeError when it can't be reached
   */
  async request(method: HttpMethod, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<unknown> {
    const response = await this.open(method, path, body, headers);
    return response.json();
  }

  /** As `request`, for an answer that is read as a stream. */
  async open(method: HttpMethod, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}, signal?: AbortSignal): Promise<Response> {
    const token = this.#token();
    const response = await this.#platform.fetch(this.baseUrl + path, {
      method,
      headers: {
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (!response.ok) throw await PylonClientError.from(response);
    return response;
  }
}

/** Whether trying again may help: the network, an overloaded or restarting server, a rate limit. */
export function isTransient(error: unknown): boolean {
  return !(error instanceof PylonClientError) || error.status >= 500 || error.status === 429 || error.status === 408;
}
