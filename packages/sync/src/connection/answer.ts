import * as v from "valibot";
import { errorOf, jsonOf, PylonClientError, typeOf, unexpected, type Head } from "./errors.ts";

/**
 * The JSON of a Pylon server's answer.
 *
 * @param text the body
 * @throws PylonClientError the server's own error, or `UNEXPECTED_ANSWER` when something else
 *   answered in its place
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
 * An answer in the shape of a schema of valibot.
 *
 * @throws PylonClientError `UNEXPECTED_ANSWER` when a 2xx answer is not in the expected shape
 * @example
 * import * as v from "valibot";
 * const { count } = parseAnswer(v.object({ count: v.number() }), await engine.fn("count"));
 */
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

/** What an error means for what was sent; docs/sync.md has the whole table. */
export type Verdict = "unauthorized" | "refused" | "later";

/** Statuses that are about the way a request came, or the time, and not about what it carried. */
const OF_THE_WAY: readonly number[] = [404, 405, 408, 426, 429];

/** What an error means for the write that was sent. */
export function verdictOf(error: unknown): Verdict {
  if (!(error instanceof PylonClientError)) return "later";
  const { status, code } = error;
  if (status === 401) return "unauthorized";
  // A host, an origin or a page that the server does not trust.
  const isOfTheWay = OF_THE_WAY.includes(status) || code.endsWith("_REJECTED");
  const isRefused = status >= 400 && status < 500 && !isOfTheWay;
  return isRefused || code === "UNSENDABLE" ? "refused" : "later";
}

/** Whether the request may not have come to the server, or the answer was not the server's. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof PylonClientError && error.status === 0;
}

/** Whether it took longer than it may. */
export function isTimeout(error: unknown): boolean {
  return error instanceof PylonClientError && error.code === "TIMED_OUT";
}

/** Whether less might get through, though it may have been a proxy that said so. */
export function isTooLarge(error: unknown): boolean {
  return error instanceof PylonClientError && (error.body["http_status"] ?? error.status) === 413;
}
