import type { ErrorBody } from "@pylonsync/protocol";
import { errorOf } from "./answer.ts";

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
export type ClientErrorCode = (typeof CLIENT_ERROR_CODES)[number];

/**
 * The server refused a request, or it could not be asked: then `status` is 0 and `code` one of
 * `CLIENT_ERROR_CODES`.
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

/** The server refused a write. It is gone from the replica; this says why. */
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
