import type { ErrorBody, ErrorCode, ErrorOf } from "@pylonsync/protocol";
import { inLoadTime } from "../platform/load-code.ts";
import { systemPlatform } from "../platform/platform.ts";

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
   *
   * @throws PylonClientError `CODE_NOT_LOADED` if the page can't load the code for it
   */
  static async from(response: Response): Promise<PylonClientError> {
    const loading = inLoadTime(systemPlatform, import("../engine/online.ts"));
    const { errorOf } = await loading.catch((cause: unknown) => {
      throw codeNotLoaded(cause);
    });
    return errorOf(response, await response.text().catch(() => ""));
  }
}

/**
 * The error shown to users when the network or the server is unavailable; the browser's message is
 * in `cause`.
 */
export function unreachable(cause: unknown): PylonClientError {
  return PylonClientError.ofClient("UNREACHABLE", "The server can't be reached. Try again.", cause);
}

/** The error for a part of the page that can't be loaded: there is no network, or a new version. */
export function codeNotLoaded(cause: unknown): PylonClientError {
  const message = "A part of the page could not be loaded. Reload the page.";
  return PylonClientError.ofClient("CODE_NOT_LOADED", message, cause);
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
