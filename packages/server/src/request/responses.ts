import { PylonError } from "@pylonsync/protocol";
import { QueryError } from "@pylonsync/query";

/** Header values by name; a list is sent as a header each, which `Set-Cookie` needs. */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[]>>;

/**
 * A JSON answer that is not made yet: the dispatcher makes the Response with all of its headers at
 * once.
 */
export class JsonAnswer {
  readonly body: unknown;
  readonly status: number;
  readonly headers: AnswerHeaders | undefined;

  constructor(body: unknown, status: number, headers?: AnswerHeaders) {
    this.body = body;
    this.status = status;
    this.headers = headers;
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

export type Answer = Response | JsonAnswer | StreamAnswer;

export function json(body: unknown, status = 200): JsonAnswer {
  return new JsonAnswer(body, status);
}

/**
 * The error that a caller is shown for what was thrown, or undefined when it is a fault of ours and
 * must not be shown.
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
