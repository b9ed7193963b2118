import { PylonError } from "@pylonsync/protocol";
import { QueryError } from "@pylonsync/query";

/** Header values by name; a list is sent as a header each, which `Set-Cookie` needs. */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[]>>;

/**
 * A JSON answer that is not made yet: the dispatcher makes the Response with all of its headers at
 * once.
 */
export class JsonAnswer {
  readonly #body: unknown;
  readonly #encoded: string | undefined;
  readonly status: number;
  readonly headers: AnswerHeaders | undefined;

  /** @param encoded the body's JSON, where it was made before */
  constructor(body: unknown, status: number, headers?: AnswerHeaders, encoded?: string) {
    this.#body = body;
    this.#encoded = encoded;
    this.status = status;
    this.headers = headers;
  }

  /** The same answer with these headers besides. */
  withHeaders(headers: AnswerHeaders): JsonAnswer {
    return new JsonAnswer(this.#body, this.status, { ...this.headers, ...headers }, this.#encoded);
  }

  /** @throws TypeError when the body can't be JSON, which is a fault of ours */
  text(): string {
    if (this.#encoded !== undefined) return this.#encoded;
    const text: string | undefined = JSON.stringify(this.#body);
    if (text === undefined) throw new TypeError("The response has no JSON form.");
    return text;
  }
}

/**
 * A text that is made while it is read, such as all rows of a table. It is answered with 200 when
 * it begins; an error after that breaks the connection off.
 */
export class StreamAnswer {
  readonly pieces: AsyncIterator<string>;
  readonly contentType: string;

  constructor(pieces: AsyncIterator<string>, contentType = "application/json; charset=utf-8") {
    this.pieces = pieces;
    this.contentType = contentType;
  }
}

/** What a route answers. */
export type Answer = Response | JsonAnswer | StreamAnswer;

/** A JSON answer. @param body anything that is JSON */
export function json(body: unknown, status = 200): JsonAnswer {
  return new JsonAnswer(body, status);
}

/** An answer whose JSON was made before. */
export function encodedJson(text: string): JsonAnswer {
  return new JsonAnswer(undefined, 200, undefined, text);
}

/**
 * Decides, for every transport, whether an error may be shown: only what was made to be seen, by
 * the server itself or by `ctx.error`. Errors of databases, of the system and of packages have
 * codes too, and texts that callers must not see.
 *
 * @returns the error that a caller is shown; undefined for a fault of ours, which is logged instead
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

/** The answer for a PylonError. */
export function errorAnswer(error: PylonError, requestId: string): JsonAnswer {
  const body = error.toBody();
  const retryAfter = body.error.retry_after_secs;
  return new JsonAnswer({ error: { ...body.error, request_id: requestId } }, error.status, {
    ...(retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) }),
    ...(error.status === 426 ? { Upgrade: "websocket" } : {}),
    ...(error.status === 401 ? { "WWW-Authenticate": "Bearer" } : {}),
  });
}
