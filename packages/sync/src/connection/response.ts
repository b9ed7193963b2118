import { isErrorBody } from "@pylonsync/protocol";
import { unexpected, type Head } from "./answer.ts";
import { PylonClientError } from "./errors.ts";

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
 * Returns the server's error, or `UNEXPECTED_ANSWER`. An error at the end of a redirect is not the
 * server's response to this request: the redirect may have changed the method or dropped the token.
 */
export function errorOf(head: Head, text: string): PylonClientError {
  const body = jsonOf(head, text);
  return !head.ok && head.redirected !== true && isErrorBody(body)
    ? new PylonClientError(head.status, body.error)
    : unexpected(head);
}

/** @throws PylonClientError `UNEXPECTED_ANSWER` for a 2xx response that is not an event stream */
export function requireEventStream(response: Response): void {
  if (typeOf(response) !== "text/event-stream") throw unexpected(response);
}

/** @returns undefined for a body that is not JSON, or not declared as JSON */
export function jsonOf(head: Head, text: string): unknown {
  if (typeOf(head) !== "application/json") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Returns the media type, without parameters. */
export function typeOf({ headers }: Head): string {
  return /^[^;\s]*/.exec(headers.get("Content-Type") ?? "")?.[0].toLowerCase() ?? "";
}
