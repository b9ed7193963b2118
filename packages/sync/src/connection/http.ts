import { loadOnline } from "./load-online.ts";
import type { SentRequest } from "./receive.ts";
import type { Platform } from "../platform/platform.ts";

/** An HTTP method of the API. */
export type HttpMethod = "GET" | "POST" | "PATCH" | "DELETE";

type Headers = Readonly<Record<string, string>>;

/** Names the user who makes a request that may be authenticated by a cookie. */
export interface RequestAuthor {
  /** Adds the user to the path. */
  named(path: string): string;
  /** Called with the error of a request whose path was named. */
  refreshAfter(error: unknown): void;
}

const UNNAMED: RequestAuthor = { named: (path) => path, refreshAfter: () => undefined };

/** Timeout and cancellation of a request. */
export interface RequestOptions {
  /** Cancels the request. */
  readonly signal?: AbortSignal | undefined;
  /** The time within which the response must begin, in milliseconds. Default 20,000. */
  readonly timeoutMs?: number;
}

/**
 * JSON over HTTP with the caller's token. Requests are sent immediately, also before the code that
 * receives the responses is loaded.
 *
 * @example
 * const http = new HttpClient("https://api.example.com", systemPlatform, () => token);
 * const todos = await http.request("POST", "/api/query/Todo", { done: false });
 */
export class HttpClient {
  readonly platform: Platform;
  readonly #token: () => string | null;
  readonly baseUrl: string;
  readonly author: RequestAuthor;
  /** When data was last received, in milliseconds since 1970. */
  receivedAt = -Infinity;

  constructor(
    baseUrl: string,
    platform: Platform,
    token: () => string | null,
    author: RequestAuthor = UNNAMED,
  ) {
    this.author = author;
    this.baseUrl = baseUrl.replace(/\/$/, "");
    this.platform = platform;
    this.#token = token;
  }

  /** The token with which requests are sent now. */
  get token(): string | null {
    return this.#token();
  }

  /**
   * @param path an absolute path: `/api/sync/pull?since=0`
   * @returns the parsed JSON of the response
   * @throws PylonClientError if the server rejects the request; `UNREACHABLE`, `TIMED_OUT` or
   *   `UNEXPECTED_ANSWER` without a response of the server
   */
  async request(
    method: HttpMethod,
    path: string,
    body?: unknown,
    headers: Headers = {},
    options: RequestOptions = {},
  ): Promise<unknown> {
    const sent = this.#send(method, path, body, headers, options);
    const { readJson } = await this.#loadFor(sent);
    return readJson(sent);
  }

  /** Like `request`, for an event stream: it must begin in time, and the caller reads it. */
  async open(
    method: HttpMethod,
    path: string,
    body?: unknown,
    headers: Headers = {},
    options: RequestOptions = {},
  ): Promise<Response> {
    const accepting = { ...headers, Accept: "text/event-stream" };
    const sent = this.#send(method, path, body, accepting, options);
    const { openStream } = await this.#loadFor(sent);
    return openStream(sent);
  }

  /** Loads the code that receives the response. */
  #loadFor({ abort }: SentRequest): ReturnType<typeof loadOnline> {
    return loadOnline(this.platform).catch((error: unknown): never => {
      // Nothing reads the response.
      abort.abort();
      throw error;
    });
  }

  #send(
    method: HttpMethod,
    path: string,
    body: unknown,
    headers: Headers,
    options: RequestOptions,
  ): SentRequest {
    const abort = new AbortController();
    if (options.signal?.aborted === true) abort.abort();
    const token = this.#token();
    const text = body === undefined ? undefined : JSON.stringify(body);
    const init: RequestInit = {
      method,
      headers: {
        ...(text === undefined ? {} : { "Content-Type": "application/json" }),
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(text === undefined ? {} : { body: text }),
      signal: abort.signal,
    };
    const response = this.platform.fetch(this.baseUrl + path, init);
    // Its error is handled once the code is loaded.
    response.catch(() => undefined);
    return { ...options, http: this, response, abort, size: text?.length ?? 0 };
  }
}
