import { isNumber, isString, objectOf, type Guarded } from "./guard.ts";

/**
 * All error codes of Pylon itself, with their HTTP status. An app's functions may throw other
 * codes, whose status is 400.
 */
export const ERROR_STATUS = {
  // the request
  INVALID_JSON: 400,
  INVALID_CSV: 400,
  INVALID_DATA: 400,
  INVALID_COLUMN: 400,
  INVALID_QUERY: 400,
  RESULT_TOO_LARGE: 400,
  SEARCH_NOT_CONFIGURED: 400,
  INVALID_ID: 400,
  INVALID_ARGS: 400,
  MISSING_FIELD: 400,
  MISSING_ENTITY: 400,
  MISSING_OPERATIONS: 400,
  MISSING_ROOM: 400,
  MISSING_TOPIC: 400,
  MISSING_EMAIL: 400,
  MISSING_NEW_EMAIL: 400,
  MISSING_PASSWORD: 400,
  MISSING_NEW_PASSWORD: 400,
  MISSING_CURRENT_PASSWORD: 400,
  MISSING_CODE: 400,
  MISSING_TOKEN: 400,
  MISSING_USER_ID: 400,
  MISSING_NAME: 400,
  MISSING_ROLE: 400,
  MISSING_ORG_ID: 400,
  MISSING_UPDATE: 400,
  INVALID_HEX: 400,
  BAD_PATH: 400,
  NOT_SUPPORTED: 400,
  CRDT_DECODE_FAILED: 400,
  CRDT_APPLY_FAILED: 400,
  UPGRADE_FAILED: 400,
  RELATION_NOT_FOUND: 400,
  INVALID_MULTIPART: 400,
  CHECKSUM_MISMATCH: 400,
  RANGE_NOT_SATISFIABLE: 416,
  UNSUPPORTED_VERSION: 412,
  UNSUPPORTED_MEDIA_TYPE: 415,
  PAYLOAD_TOO_LARGE: 413,
  TRANSACTION_TOO_LARGE: 413,
  METHOD_NOT_ALLOWED: 405,
  UPGRADE_REQUIRED: 426,
  STREAM_TOO_SLOW: 408,
  RATE_LIMITED: 429,
  ROOM_LIMIT_REACHED: 429,
  SUBSCRIPTION_LIMIT_REACHED: 429,
  FILE_QUOTA_REACHED: 429,
  STORAGE_QUOTA_REACHED: 413,
  // the caller
  AUTH_REQUIRED: 401,
  UNAUTHORIZED: 401,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  POLICY_DENIED: 403,
  ORIGIN_REJECTED: 403,
  HOST_REJECTED: 403,
  INVALID_SIGNATURE: 401,
  INVALID_CREDENTIALS: 401,
  INVALID_CODE: 401,
  INVALID_TOKEN: 401,
  INVALID_PASSKEY: 401,
  INVALID_EMAIL: 400,
  INVALID_REDIRECT: 400,
  WEAK_PASSWORD: 400,
  EMAIL_TAKEN: 409,
  SIGN_UP_REFUSED: 403,
  SIGN_IN_REFUSED: 403,
  MFA_REQUIRED: 403,
  FRESH_SIGN_IN_REQUIRED: 403,
  EMAIL_NOT_VERIFIED: 403,
  CSRF_REJECTED: 403,
  INSUFFICIENT_SCOPE: 403,
  NOT_A_MEMBER: 403,
  LAST_OWNER: 409,
  JWT_NOT_CONFIGURED: 503,
  NO_USER_ENTITY: 501,
  ENCRYPTION_NOT_CONFIGURED: 503,
  PUBLIC_URL_NOT_CONFIGURED: 503,
  EMAIL_NOT_CONFIGURED: 503,
  EMAIL_NOT_SENT: 503,
  PROVIDER_NOT_FOUND: 404,
  INVALID_STATE: 400,
  OAUTH_DENIED: 403,
  OAUTH_FAILED: 502,
  OAUTH_UNREACHABLE: 502,
  ACCOUNT_EXISTS: 409,
  ACCOUNT_TAKEN: 409,
  ACCOUNT_NOT_FOUND: 404,
  LAST_SIGN_IN: 409,
  NO_REFRESH_TOKEN: 409,
  // the data
  NOT_FOUND: 404,
  FILE_NOT_FOUND: 404,
  ENTITY_NOT_FOUND: 404,
  UNIQUE_VIOLATION: 409,
  REFERENCE_NOT_FOUND: 400,
  REFERENCED: 409,
  JOB_LOST: 409,
  WORKFLOW_START_FAILED: 400,
  WORKFLOW_EVENT_FAILED: 400,
  WORKFLOW_ADVANCE_FAILED: 400,
  WORKFLOW_CANCEL_FAILED: 400,
  WORKFLOW_RETRY_FAILED: 400,
  ID_TAKEN: 409,
  ROW_CHANGED: 409,
  CONFLICT: 409,
  IDEMPOTENCY_KEY_REUSED: 409,
  READONLY_FIELD: 400,
  HOOK_REFUSED: 403,
  RESET_REFUSED: 403,
  RESYNC_REQUIRED: 410,
  // functions
  FN_NOT_FOUND: 404,
  ACTION_NOT_FOUND: 404,
  FN_TYPE_MISMATCH: 400,
  NOT_AN_ACTION: 400,
  FN_TIMEOUT: 504,
  HANDLER_ERROR: 500,
  HANDLER_CRASH: 500,
  FUNCTIONS_NOT_AVAILABLE: 503,
  AI_NOT_CONFIGURED: 503,
  AI_FAILED: 502,
  SHARDS_NOT_AVAILABLE: 503,
  SHARD_NOT_FOUND: 404,
  SHARD_ELSEWHERE: 503,
  NOT_CONNECTED: 409,
  INVALID_RESULT: 500,
  JOIN_TOKEN_REFUSED: 401,
  TICKET_NOT_FOUND: 404,
  TICKET_OVER: 409,
  INPUT_REJECTED: 400,
  SUBSCRIBE_FAILED: 429,
  // the server
  STORAGE_UNAVAILABLE: 503,
  NOT_READY: 503,
  OVERLOADED: 503,
  QUERY_TIMEOUT: 503,
  INTERNAL: 500,
} as const;
/** An error code of Pylon itself: a key of ERROR_STATUS. */
export type ErrorCode = keyof typeof ERROR_STATUS;

/**
 * The possible errors of a function, each with its data: those of `Errors`, which the function
 * declares, and others, without data. They are distinguished by `code`.
 */
export type ErrorOf<Errors, Other extends string> =
  | { [C in keyof Errors]: { readonly code: C; readonly data: Errors[C] } }[keyof Errors]
  | { readonly code: Exclude<Other, keyof Errors>; readonly data: undefined };

/** The body of every response that is not 2xx or 3xx. */
export const isErrorBody = objectOf({
  error: (value): value is ErrorContent => isErrorContent(value),
});
/** See isErrorBody. */
export type ErrorBody = Guarded<typeof isErrorBody>;

/** The content of an error, without its additional keys. */
export const isErrorContent = objectOf(
  { code: isString, message: isString },
  {
    hint: isString,
    field: isString,
    request_id: isString,
    retry_after_secs: isNumber,
    oldest_seq: isNumber,
  },
);
/** The content of an error, with additional keys such as `mfa_token`. */
type ErrorContent = Guarded<typeof isErrorContent> & { [key: string]: unknown };

/** Optional details of an error. */
export interface ErrorDetails {
  /** How to fix the problem, in one sentence. */
  readonly hint?: string;
  /** The invalid field of the input, as a path such as `changes[2].data.title`. */
  readonly field?: string;
  /** Additional keys of the error body, such as `retry_after_secs`. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/**
 * Marks the errors of all copies of this module. The published command is bundled and has a copy of
 * its own, while `@pylonsync/functions` in an app's folder throws errors of another one.
 */
const PYLON_ERROR = Symbol.for("pylon.error");

/**
 * An error for the caller: all of its content is sent.
 *
 * @example throw new PylonError("NOT_FOUND", "No Todo has the id \"x1\".", { hint: "List
 *   /api/entities/Todo to see the ids." });
 */
export class PylonError extends Error {
  override readonly name = "PylonError";
  readonly code: string;
  readonly status: number;
  readonly hint: string | undefined;
  readonly field: string | undefined;
  readonly extra: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode | (string & {}), message: string, details: ErrorDetails = {}) {
    super(message);
    this.code = code;
    this.status = statusOf(code);
    this.hint = details.hint;
    this.field = details.field;
    this.extra = details.extra;
  }

  /** `instanceof PylonError` holds for errors of every copy; that of a subclass does not. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== PylonError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === "object" && value !== null && PYLON_ERROR in value;
  }

  /** On the prototype, so that logs do not print it. */
  get [PYLON_ERROR](): true {
    return true;
  }

  /** The data of an error that a function declares. */
  get data(): unknown {
    return this.extra?.["data"];
  }

  /** Returns the JSON body of the response. */
  toBody(): ErrorBody {
    return {
      error: {
        code: this.code,
        message: this.message,
        ...(this.hint === undefined ? {} : { hint: this.hint }),
        ...(this.field === undefined ? {} : { field: this.field }),
        ...this.extra,
      },
    };
  }
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_STATUS, code);
}

/** Returns the HTTP status of a code; 400 for a code of the app. */
export function statusOf(code: string): number {
  return isErrorCode(code) ? ERROR_STATUS[code] : 400;
}
