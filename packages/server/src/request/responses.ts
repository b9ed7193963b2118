import { PylonError } from "@pylonsync/protocol";
import { QueryError } from "@pylonsync/query";

/** A JSON answer. The listener adds the common headers. */
export function json(body: unknown, status = 200): Response {
  return Response.json(body, { status });
}

/** The error that a caller is shown for what was thrown, or undefined when it is a fault of ours and must not be shown. */
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
export function errorResponse(error: PylonError, requestId: string): Response {
  const body = error.toBody();
  const response = Response.json({ error: { ...body.error, request_id: requestId } }, { status: error.status });
  const retryAfter = body.error.retry_after_secs;
  if (retryAfter !== undefined) response.headers.set("Retry-After", String(retryAfter));
  if (error.status === 401) response.headers.set("WWW-Authenticate", "Bearer");
  return response;
}
