import { PylonError } from "@pylonsync/protocol";
import { QueryError } from "@pylonsync/query";
import type { OpenTransfer } from "./transfers.ts";

/** Header values by name; a list is sent as one header per value, which `Set-Cookie` needs. */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[]>>;

/**
 * A JSON response that is not created yet: the dispatcher creates the Response with all of its
 * headers in one step.
 */
export class JsonAnswer {
  readonly #body: unknown;
  readonly #encoded: string | undefined;
  readonly status: number;
  readonly headers: AnswerHeaders | undefined;

  /** @param encoded the body's JSON, if it already exists */
  constructor(body: unknown, status: number, headers?: AnswerHeaders, encoded?: string) {
    this.#body = body;
    this.#encoded = encoded;
    this.status = status;
    this.headers = headers;
  }

  /** Returns the same response with these headers added. */
  withHeaders(headers: AnswerHeaders): JsonAnswer {
    return new JsonAnswer(this.#body, this.status, { ...this.headers, ...headers }, this.#encoded);
  }

  /** @throws TypeError when the body can't be JSON, which is a bug of the server */
  text(): string {
    if (this.#encoded !== undefined) return this.#encoded;
    const text: string | undefined = JSON.stringify(this.#body);
    if (text === undefined) throw new TypeError("The response has no JSON form.");
    return text;
  }
}

/**
 * A text that is produced while it is read, such as all rows of a table. Its status is 200 from the
 * start; a later error aborts the connection.
 */
export class StreamAnswer {
  readonly pieces: AsyncIterator<string>;
  readonly contentType: string;

  constructor(pieces: AsyncIterator<string>, contentType = "application/json; charset=utf-8") {
    this.pieces = pieces;
    this.contentType = contentType;
  }
}

/** A response that counts the bytes that it holds for its reader itself. */
export class CountedAnswer {
  readonly response: Response;
  readonly count: (open: OpenTransfer) => void;

  /** @param count called before the response is sent */
  constructor(response: Response, count: (open: OpenTransfer) => void) {
    this.response = response;
    this.count = count;
  }
}

/** A response whose whole body is in memory, which counts until its reader has it. */
export class BytesAnswer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly init: {
    readonly status: number;
    readonly statusText: string;
    readonly headers: Headers;
  };

  constructor(bytes: Uint8Array<ArrayBuffer>, init: BytesAnswer["init"]) {
    this.bytes = bytes;
    this.init = init;
  }
}

/** The response of a route. */
export type Answer = Response | JsonAnswer | StreamAnswer | CountedAnswer | BytesAnswer;

/** Creates a JSON response. @param body any JSON value */
export function json(body: unknown, status = 200): JsonAnswer {
  return new JsonAnswer(body, status);
}

/** Creates a response whose JSON already exists. */
export function encodedJson(text: string): JsonAnswer {
  return new JsonAnswer(undefined, 200, undefined, text);
}

/**
 * Decides, for every transport, whether an error may be shown: only errors that are meant to be
 * shown, by the server itself or by `ctx.error`. Errors of databases, of the system and of packages
 * have codes too, and texts that callers must not see.
 *
 * @returns the error to show to a caller; undefined for an internal error, which is logged
 */
export function toPublicError(error: unknown): PylonError | undefined {
  if (error instanceof PylonError) return error;
  if (error instanceof QueryError) {
    return new PylonError(error.code, error.message, {
      ...(error.field === undefined ? {} : { field: error.field }),
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
  return undefined;
}

/** Creates the response for a PylonError. */
export function errorAnswer(error: PylonError, requestId: string): JsonAnswer {
  const body = error.toBody();
  const retryAfter = body.error.retry_after_secs;
  return new JsonAnswer({ error: { ...body.error, request_id: requestId } }, error.status, {
    ...(retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) }),
    ...rateLimitHeaders(error, retryAfter),
    ...(error.status === 426 ? { Upgrade: "websocket" } : {}),
    ...(error.status === 401 ? { "WWW-Authenticate": "Bearer" } : {}),
  });
}

/** The headers by which HTTP clients and proxies know a window that is used up. */
function rateLimitHeaders(
  { extra }: PylonError,
  resetSecs: number | undefined,
): Readonly<Record<string, string>> {
  const limit = extra?.["limit"];
  if (typeof limit !== "number" || resetSecs === undefined) return {};
  return {
    "RateLimit-Limit": String(limit),
    "RateLimit-Remaining": "0",
    "RateLimit-Reset": String(resetSecs),
  };
}
