import { readAnswer, requireEventStream } from "./answer.ts";
import { Deadline, unreachable } from "./deadline.ts";
import { PylonClientError, unexpected } from "./errors.ts";
import type { Platform } from "../platform/platform.ts";

/** An HTTP method of the API. */
export type HttpMethod = "GET" | "POST" | "PATCH" | "DELETE";

/** The time within which a response must begin, in milliseconds. */
const ANSWER_MS = 20_000;
/** The maximum pause within a response, in milliseconds. */
const STALL_MS = 10_000;
/** The minimum upload rate, in bytes per millisecond. */
const SLOWEST_UPLOAD = 8;

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
 * JSON over HTTP with the caller's token.
 *
 * @example
 * const http = new HttpClient("https://api.example.com", systemPlatform, () => token);
 * const todos = await http.request("POST", "/api/query/Todo", { done: false });
 */
export class HttpClient {
  readonly #platform: Platform;
  readonly #token: () => string | null;
  readonly baseUrl: string;
  readonly author: RequestAuthor;
  #receivedAt = -Infinity;

  constructor(
    baseUrl: string,
    platform: Platform,
    token: () => string | null,
    author: RequestAuthor = UNNAMED,
  ) {
    this.author = author;
    this.baseUrl = baseUrl.replace(/\/$/, "");
    this.#platform = platform;
    this.#token = token;
  }

  /** The token with which requests are sent now. */
  get token(): string | null {
    return this.#token();
  }

  /** When data was last received, in milliseconds since 1970. */
  get receivedAt(): number {
    return this.#receivedAt;
  }

  /**
   * @param path an absolute path: `/api/sync/pull?since=0`
   * @returns the parsed JSON of the response
   * @throws PylonClientError if the server rejects the request; `UNREACHABLE`, `TIMED_OUT` or
   *   `UNEXPECTED_ANSWER` without a response of the server
   */
  request(
    method: HttpMethod,
    path: string,
    body?: unknown,
    headers: Headers = {},
    options: RequestOptions = {},
  ): Promise<unknown> {
    return this.#send(method, path, body, headers, options, async (response, deadline) =>
      readAnswer(response, await this.#read(response, deadline)),
    );
  }

  /** Like `request`, for an event stream: it must begin in time, and the caller reads it. */
  open(
    method: HttpMethod,
    path: string,
    body?: unknown,
    headers: Headers = {},
    options: RequestOptions = {},
  ): Promise<Response> {
    const sent = { ...headers, Accept: "text/event-stream" };
    return this.#send(method, path, body, sent, options, async (response) => {
      if (!response.ok) throw await PylonClientError.from(response);
      requireEventStream(response);
      return response;
    });
  }

  /** Waits for the next chunk of a stream. @throws PylonClientError `TIMED_OUT` */
  inTime<T>(ms: number, work: Promise<T>): Promise<T> {
    const deadline = new Deadline(this.#platform, undefined);
    deadline.within(ms);
    return deadline.hold(work);
  }

  #send<T>(
    method: HttpMethod,
    path: string,
    body: unknown,
    headers: Headers,
    options: RequestOptions,
    take: (response: Response, deadline: Deadline) => Promise<T>,
  ): Promise<T> {
    const deadline = new Deadline(this.#platform, options.signal);
    const work = this.#fetch(method, path, body, headers, options, deadline);
    return deadline.hold(work.then((response) => take(response, deadline)));
  }

  async #fetch(
    method: HttpMethod,
    path: string,
    body: unknown,
    headers: Headers,
    { timeoutMs = ANSWER_MS }: RequestOptions,
    deadline: Deadline,
  ): Promise<Response> {
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
      signal: deadline.signal,
    };
    deadline.within(timeoutMs + (text?.length ?? 0) / SLOWEST_UPLOAD);
    const response = await this.#platform
      .fetch(this.baseUrl + path, init)
      .catch((cause: unknown) => {
        throw unreachable(cause);
      });
    this.#receivedBytes(deadline);
    // A browser drops the token when redirected to another origin, so that response says nothing.
    if (response.redirected && new URL(response.url).origin !== new URL(this.baseUrl).origin)
      throw unexpected(response);
    return response;
  }

  /** Reads the body in chunks if possible: a large body may take long, but must not stall. */
  async #read(response: Response, deadline: Deadline): Promise<string> {
    try {
      const reader = response.body?.getReader();
      if (reader === undefined) return await response.text();
      const decoder = new TextDecoder();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return text + decoder.decode();
        this.#receivedBytes(deadline);
        text += decoder.decode(value, { stream: true });
      }
    } catch (cause) {
      throw unreachable(cause);
    }
  }

  #receivedBytes(deadline: Deadline): void {
    this.#receivedAt = this.#platform.now();
    deadline.within(STALL_MS);
  }
}
