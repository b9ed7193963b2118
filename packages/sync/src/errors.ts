import { ErrorBodySchema, type ErrorBody } from "@pylonsync/protocol";
import * as v from "valibot";

/**
 * The codes that no server answers: the client itself says what has become of a call or a write.
 */
export const CLIENT_ERROR_CODES = [
  "UNREACHABLE",
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

  static async from(response: Response): Promise<PylonClientError> {
    const parsed = v.safeParse(ErrorBodySchema, await response.json().catch(() => null));
    const fallback = {
      code: `HTTP_${response.status}`,
      message: `The server answered ${response.status}.`,
    };
    return new PylonClientError(response.status, parsed.success ? parsed.output.error : fallback);
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
