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
   * @throws PylonClientError when the server refuses; with the code `UNREACHABLE` when it can't be
   *   reached
   */
  async request(
    method: HttpMethod,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
    signal?: AbortSignal,
  ): Promise<unknown> {
    const response = await this.open(method, path, body, headers, signal);
    const text = await response.text().catch((cause: unknown) => {
      throw unreachable(cause);
    });
    return JSON.parse(text) as unknown;
  }

  /** As `request`, for an answer that is read as a stream. */
  async open(
    method: HttpMethod,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
    signal?: AbortSignal,
  ): Promise<Response> {
    const token = this.#token();
    const init: RequestInit = {
      method,
      headers: {
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    };
    const response = await this.#platform
      .fetch(this.baseUrl + path, init)
      .catch((cause: unknown) => {
        throw unreachable(cause);
      });
    if (!response.ok) throw await PylonClientError.from(response);
    return response;
  }
}

/**
 * What people read where the network or the server is gone; the browser's own words are in `cause`.
 */
function unreachable(cause: unknown): PylonClientError {
  return PylonClientError.ofClient("UNREACHABLE", "The server can't be reached. Try again.", cause);
}

/** Whether the request may never have come to the server. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof PylonClientError && error.code === "UNREACHABLE";
}

/** Whether trying again may help: the network, an overloaded or restarting server, a rate limit. */
export function isTransient(error: unknown): boolean {
  return (
    !(error instanceof PylonClientError) ||
    isUnreachable(error) ||
    error.status >= 500 ||
    error.status === 429 ||
    error.status === 408
  );
}
