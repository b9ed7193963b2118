import { ErrorBodySchema } from "@pylonsync/protocol";
import * as v from "valibot";
import { PylonClientError } from "./errors.ts";

/** What tells where an answer came from. */
type Head = Pick<Response, "ok" | "status" | "headers" | "redirected">;

/** The longest pause that a proxy may ask for, in seconds. */
const MAX_PROXY_PAUSE_SECS = 30;

/**
 * The JSON of a Pylon server's answer.
 *
 * @param text the body
 * @throws PylonClientError the server's own error, or `UNEXPECTED_ANSWER` when something else
 *   answered in its place
 */
export function readAnswer(head: Head, text: string): unknown {
  const value = parse(head, text);
  if (!head.ok || value === undefined) throw errorOf(head, text);
  return value;
}

/**
 * The server's error, or `UNEXPECTED_ANSWER`. A refusal at the end of a redirect is not the
 * server's word on this request: the redirect may have changed the method or dropped the token.
 */
export function errorOf(head: Head, text: string): PylonClientError {
  const parsed = v.safeParse(ErrorBodySchema, parse(head, text));
  return !head.ok && head.redirected !== true && parsed.success
    ? new PylonClientError(head.status, parsed.output.error)
    : unexpected(head);
}

/** @throws PylonClientError `UNEXPECTED_ANSWER` when a 2xx answer is not in the expected shape */
export function parseAnswer<S extends v.GenericSchema>(
  schema: S,
  answer: unknown,
): v.InferOutput<S> {
  const parsed = v.safeParse(schema, answer);
  if (parsed.success) return parsed.output;
  throw unexpected();
}

/** @throws PylonClientError `UNEXPECTED_ANSWER` for a 2xx answer that is not an event stream */
export function requireEventStream(response: Response): void {
  if (typeOf(response) !== "text/event-stream") throw unexpected(response);
}

/** Something on the way answered in the server's place, or the server is not Pylon. */
export function unexpected(head?: Head): PylonClientError {
  const pause = Number(head?.headers.get("Retry-After"));
  return new PylonClientError(0, {
    code: "UNEXPECTED_ANSWER",
    message: "Something else answered in place of the server. Try again.",
    ...(head === undefined ? {} : { http_status: head.status }),
    ...(pause > 0 ? { retry_after_secs: Math.min(pause, MAX_PROXY_PAUSE_SECS) } : {}),
  });
}

/** @returns undefined for what is not JSON, or does not say that it is */
function parse(head: Head, text: string): unknown {
  if (typeOf(head) !== "application/json") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function typeOf({ headers }: Head): string {
  return (headers.get("Content-Type") ?? "").split(";", 1).join().trim().toLowerCase();
}

/** What an error means for what was sent; docs/sync.md has the whole table. */
export type Verdict = "unauthorized" | "too-large" | "refused" | "later";

/** Refusals that are about the way a request came, and not about what it carried. */
const OF_THE_WAY: ReadonlySet<string> = new Set([
  "NOT_FOUND",
  "METHOD_NOT_ALLOWED",
  "UPGRADE_REQUIRED",
  "ORIGIN_REJECTED",
  "HOST_REJECTED",
  "CSRF_REJECTED",
]);

export function verdictOf(error: unknown): Verdict {
  if (!(error instanceof PylonClientError)) return "later";
  const { status, code } = error;
  if (code === "UNSENDABLE") return "refused";
  if (status === 401) return "unauthorized";
  if (status === 413) return "too-large";
  return status < 400 || status >= 500 || status === 408 || status === 429 || OF_THE_WAY.has(code)
    ? "later"
    : "refused";
}

/** Whether the request may not have come to the server, or the answer was not the server's. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof PylonClientError && error.status === 0;
}

export function isTimeout(error: unknown): boolean {
  return error instanceof PylonClientError && error.code === "TIMED_OUT";
}

/** Whether less might get through, though it may have been a proxy that said so. */
export function isTooLarge(error: unknown): boolean {
  return error instanceof PylonClientError && (error.body["http_status"] ?? error.status) === 413;
}
