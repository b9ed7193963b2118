import type { Guard } from "@pylonsync/protocol";
import type { GenericSchema, InferOutput } from "valibot";
import { errorOf, jsonOf, PylonClientError, typeOf, unexpected, type Head } from "./errors.ts";

/**
 * Parses the JSON of a Pylon server's response.
 *
 * @param text the body
 * @throws PylonClientError the server's error, or `UNEXPECTED_ANSWER` if the response did not come
 *   from a Pylon server
 * @example
 * const response = await fetch(`${engine.baseUrl}/api/entities/Todo`);
 * const list = readAnswer(response, await response.text());
 */
export function readAnswer(head: Head, text: string): unknown {
  const value = jsonOf(head, text);
  if (!head.ok || value === undefined) throw errorOf(head, text);
  return value;
}

/**
 * Validates a response with a valibot schema or a type guard of the protocol.
 *
 * @throws PylonClientError `UNEXPECTED_ANSWER` if a 2xx response does not have the expected form
 * @example
 * import * as v from "valibot";
 * const { count } = parseAnswer(v.object({ count: v.number() }), await engine.fn("count"));
 */
export function parseAnswer<S extends GenericSchema>(schema: S, answer: unknown): InferOutput<S>;
export function parseAnswer<T>(guard: Guard<T>, answer: unknown): T;
export function parseAnswer(shape: GenericSchema | Guard<unknown>, answer: unknown): unknown {
  if (typeof shape === "function") {
    if (shape(answer)) return answer;
    throw unexpected();
  }
  // A schema validates itself: pages without one do not load its library.
  const result = shape["~standard"].validate(answer);
  if (result instanceof Promise || result.issues !== undefined) throw unexpected();
  return result.value;
}

/** @throws PylonClientError `UNEXPECTED_ANSWER` for a 2xx response that is not an event stream */
export function requireEventStream(response: Response): void {
  if (typeOf(response) !== "text/event-stream") throw unexpected(response);
}

/** The meaning of an error for a write; docs/sync.md has the whole table. */
export type WriteFailure = "unauthorized" | "refused" | "later";

/** Statuses about the delivery of a request or its time, and not about its content. */
const TRANSPORT_STATUSES: readonly number[] = [404, 405, 408, 426, 429];

/** Returns the meaning of an error for the write that was sent. */
export function writeFailureOf(error: unknown): WriteFailure {
  if (!(error instanceof PylonClientError)) return "later";
  const { status, code } = error;
  if (status === 401) return "unauthorized";
  // A host, an origin or a page that the server does not trust.
  const isTransportError = TRANSPORT_STATUSES.includes(status) || code.endsWith("_REJECTED");
  const isRefused = status >= 400 && status < 500 && !isTransportError;
  return isRefused || code === "UNSENDABLE" ? "refused" : "later";
}

/**
 * Whether the request may not have reached the server, or the response came from something else.
 */
export function isUnreachable(error: unknown): boolean {
  return error instanceof PylonClientError && error.status === 0;
}

/** Whether the request timed out. */
export function isTimeout(error: unknown): boolean {
  return error instanceof PylonClientError && error.code === "TIMED_OUT";
}

/** Whether a smaller request might succeed; a proxy may have rejected it. */
export function isTooLarge(error: unknown): boolean {
  return error instanceof PylonClientError && (error.body["http_status"] ?? error.status) === 413;
}
