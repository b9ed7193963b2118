/** Largest request body, in bytes. */
export const MAX_BODY_BYTES = 10 * 1024 * 1024;
/** Deepest nesting of arrays and objects in a JSON body or socket message. */
export const MAX_JSON_DEPTH = 32;
/** Deepest nesting of what a function returns. */
export const MAX_RESULT_DEPTH = 256;
/** Most changes in one push. */
export const MAX_PUSH_CHANGES = 1000;
/**
 * Bytes of a push that the client sends; a larger single change goes alone. Common proxies take no
 * more than this in one request.
 */
export const MAX_PUSH_BYTES = 1024 * 1024;
/** Largest change that the client takes, in bytes: no server takes a larger one in a request. */
export const MAX_CHANGE_BYTES = 9 * 1024 * 1024;
/** Rows of a list without `limit`, and the most it may ask for. */
export const DEFAULT_PAGE_SIZE = 100;
export const MAX_PAGE_SIZE = 1000;
/** Failures that the answer to an import describes; the others are only counted. */
export const MAX_IMPORT_ERRORS = 100;
/** Most users of whom a connection is told that they went offline: those it heard last. */
export const MAX_ACQUAINTANCES = 1000;
/**
 * Most rows that one transaction writes: a mutation, a transaction over HTTP. On SQLite all other
 * writes wait for it, and the event loop with them: some 20 ms a thousand rows.
 */
export const MAX_TRANSACTION_WRITES = 10_000;
