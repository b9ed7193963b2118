import { PylonClientError } from "../connection/errors.ts";

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

/** Whether a smaller request might succeed; a proxy may have rejected it. */
export function isTooLarge(error: unknown): boolean {
  return error instanceof PylonClientError && (error.body["http_status"] ?? error.status) === 413;
}
