import { ErrorBodySchema, type ErrorBody } from "@pylonsync/protocol";
import * as v from "valibot";

/**
 * The codes that no server answers: the client itself says what has become of a call or a write.
 */
export const CLIENT_ERROR_CODES = [
  "UNREACHABLE",
  "TIMED_OUT",
  "UNEXPECTED_ANSWER",
  "UNSENDABLE",
  "NOT_KEPT",
  "STREAM_ENDED",
  "SESSION_CHANGED",
  "REFUSED",
  "NO_PASSKEY",
] as const;
/** One of `CLIENT_ERROR_CODES`. */
export type ClientErrorCode = (typeof CLIENT_ERROR_CODES)[number];

/**
 * The server refused a request, or it could not be asked: then `status` is 0 and `code` one of
 * `CLIENT_ERROR_CODES`.
 *
 * @example
 * try {
 *   await engine.fn("addTodo", { title: "milk" });
 * } catch (error) {
 *   if (error instanceof PylonClientError && error.code === "UNREACHABLE") show(error.message);
 * }
 */
export class PylonClientError extends Error {
  override readonly name: string = "PylonClientError";
  readonly code: string;
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  readonly hint: string | undefined;
  readonly field: string | undefined;
  readonly requestId: string | undefined;
  /** Seconds to wait before trying again. */
  readonly retryAfter: number | undefined;
  /** All that the server said, such as `mfa_token`. */
  readonly body: Readonly<Record<string, unknown>>;

  constructor(status: number, error: ErrorBody["error"]) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.hint = error.hint;
    this.field = error.field;
    this.requestId = error.request_id;
    this.retryAfter = error.retry_after_secs;
    this.body = error;
  }

  /** For what went wrong on this side. */
  static ofClient(code: ClientErrorCode, message: string, cause?: unknown): PylonClientError {
    const error = new PylonClientError(0, { code, message });
    if (cause !== undefined) error.cause = cause;
    return error;
  }

  /**
   * Reads an answer that is not 2xx. Only what is in Pylon's error form is an error of the server;
   * everything else is `UNEXPECTED_ANSWER`, of a proxy for example, and says nothing about the
   * request or the session.
   */
  static async from(response: Response): Promise<PylonClientError> {
    return errorOf(response, await response.text().catch(() => ""));
  }
}

/** What tells where an answer came from. */
export type Head = Pick<Response, "ok" | "status" | "headers" | "redirected">;

/** The longest pause that a proxy may ask for, in seconds. */
const MAX_PROXY_PAUSE_SECS = 30;

/**
 * The server's error, or `UNEXPECTED_ANSWER`. A refusal at the end of a redirect is not the
 * server's word on this request: the redirect may have changed the method or dropped the token.
 */
export function errorOf(head: Head, text: string): PylonClientError {
  const parsed = v.safeParse(ErrorBodySchema, jsonOf(head, text));
  return !head.ok && head.redirected !== true && parsed.success
    ? new PylonClientError(head.status, parsed.output.error)
    : unexpected(head);
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
export function jsonOf(head: Head, text: string): unknown {
  if (typeOf(head) !== "application/json") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The media type, without its parameters. */
export function typeOf({ headers }: Head): string {
  return /^[^;\s]*/.exec(headers.get("Content-Type") ?? "")?.[0].toLowerCase() ?? "";
}

/**
 * The server refused a write. It is gone from the replica; this says why.
 *
 * @example
 * engine.onError(({ entity, code, message }) => show(`${entity}: ${message}`, code));
 */
export class MutationError extends Error {
  override readonly name = "MutationError";
  readonly code: string;
  readonly hint: string | undefined;
  readonly field: string | undefined;
  readonly entity: string;
  readonly rowId: string;
  readonly kind: "insert" | "update" | "delete";

  constructor(
    change: {
      readonly entity: string;
      readonly row_id: string;
      readonly kind: "insert" | "update" | "delete";
    },
    error: {
      readonly code: ClientErrorCode | (string & {});
      readonly message: string;
      readonly hint?: string | undefined;
      readonly field?: string | undefined;
    },
  ) {
    super(error.message);
    this.code = error.code;
    this.hint = error.hint;
    this.field = error.field;
    this.entity = change.entity;
    this.rowId = change.row_id;
    this.kind = change.kind;
  }
}
