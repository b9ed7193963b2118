import { isErrorBody, type ErrorBody, type ErrorCode, type ErrorOf } from "@pylonsync/protocol";

/** Error codes of the client itself, which no server returns. */
export const CLIENT_ERROR_CODES = [
  "UNREACHABLE",
  "TIMED_OUT",
  "UNEXPECTED_ANSWER",
  "UNSENDABLE",
  "NOT_KEPT",
  "STREAM_ENDED",
  "CODE_NOT_LOADED",
  "SESSION_CHANGED",
  "REFUSED",
  "NO_PASSKEY",
] as const;
/** One of `CLIENT_ERROR_CODES`. */
export type ClientErrorCode = (typeof CLIENT_ERROR_CODES)[number];

/**
 * The error of a function call: one of the errors that the function declares, with its data, or any
 * other. `Error` for a function that declares none.
 */
export type FunctionError<Errors> = keyof Errors extends never
  ? Error
  : PylonClientError & ErrorOf<Errors, ErrorCode | ClientErrorCode>;

/**
 * The server rejected a request, or could not be reached: then `status` is 0 and `code` is one of
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
  /** The HTTP status; 0 without a response. */
  readonly status: number;
  readonly hint: string | undefined;
  readonly field: string | undefined;
  readonly requestId: string | undefined;
  /** The number of seconds to wait before a retry. */
  readonly retryAfter: number | undefined;
  /** The data of an error that the function declares. */
  readonly data: unknown;
  /** The complete response body, for example with `mfa_token`. */
  readonly body: Readonly<Record<string, unknown>>;

  constructor(status: number, error: ErrorBody["error"]) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.hint = error.hint;
    this.field = error.field;
    this.requestId = error.request_id;
    this.retryAfter = error.retry_after_secs;
    this.data = error["data"];
    this.body = error;
  }

  /** Creates an error of the client itself. */
  static ofClient(code: ClientErrorCode, message: string, cause?: unknown): PylonClientError {
    const error = new PylonClientError(0, { code, message });
    if (cause !== undefined) error.cause = cause;
    return error;
  }

  /**
   * Parses a response that is not 2xx. Only a body in Pylon's error format is an error of the
   * server; anything else, for example from a proxy, is `UNEXPECTED_ANSWER` and says nothing about
   * the request or the session.
   */
  static async from(response: Response): Promise<PylonClientError> {
    return errorOf(response, await response.text().catch(() => ""));
  }
}

/** The parts of a response that show where it came from. */
export type Head = Pick<Response, "ok" | "status" | "headers" | "redirected">;

/** The maximum delay that a proxy may request, in seconds. */
const MAX_PROXY_PAUSE_SECS = 30;

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

/** The error for a response that did not come from a Pylon server. */
export function unexpected(head?: Head): PylonClientError {
  const pause = Number(head?.headers.get("Retry-After"));
  return new PylonClientError(0, {
    code: "UNEXPECTED_ANSWER",
    message: "Something else answered in place of the server. Try again.",
    ...(head === undefined ? {} : { http_status: head.status }),
    ...(pause > 0 ? { retry_after_secs: Math.min(pause, MAX_PROXY_PAUSE_SECS) } : {}),
  });
}

/** The error for a part of the page that can't be loaded: there is no network, or a new version. */
export function codeNotLoaded(cause: unknown): PylonClientError {
  const message = "A part of the page could not be loaded. Reload the page.";
  return PylonClientError.ofClient("CODE_NOT_LOADED", message, cause);
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

/**
 * The server rejected a write, which was rolled back in the replica.
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
  /**
   * The texts that a rejected edit of a collaborative text would have led to, by field. The page
   * does not show them any longer, and can offer them to the user.
   */
  declare texts?: Readonly<Record<string, string>>;

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
