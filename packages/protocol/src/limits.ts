const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * Largest request body by what a route takes, in bytes. Each route declares one of them:
 *
 * - `none`: the route reads no body.
 * - `small`: a few named fields, such as a sign-in.
 * - `query`: a filter with its lists of values.
 * - `rows`: rows, or the arguments of a function.
 * - `stream`: read piece by piece into the storage; the limits for files hold.
 */
export const BODY_LIMITS = {
  none: 0,
  small: 64 * KIB,
  query: MIB,
  rows: 10 * MIB,
  stream: Infinity,
} as const;
/** Which body a route takes: a key of BODY_LIMITS. */
export type BodyLimit = keyof typeof BODY_LIMITS;

/** Deepest nesting of arrays and objects in a JSON body or socket message. */
export const MAX_JSON_DEPTH = 32;
/** Most values in a JSON body or socket message, those inside of others included. */
export const MAX_JSON_VALUES = 250_000;
/** Deepest nesting of what a function returns. */
export const MAX_RESULT_DEPTH = 256;
/** Most changes in one push, and operations in one batch or transaction. */
export const MAX_PUSH_CHANGES = 1000;
/**
 * Bytes of a push that the client sends; a larger single change goes alone. Common proxies take no
 * more than this in one request.
 */
export const MAX_PUSH_BYTES = 1024 * 1024;
/** Largest change that the client takes, in bytes: no server takes a larger one in a request. */
export const MAX_CHANGE_BYTES = 9 * 1024 * 1024;
/** Rows of a page of `ctx.db.paginate` without `limit`. */
export const DEFAULT_PAGE_SIZE = 100;
/** Longest cursor of a page, in characters: it holds what the order looks at in a row. */
export const MAX_CURSOR_LENGTH = 8192;
/** Most rows that a list, a page, a query or a pull may ask for. */
export const MAX_PAGE_SIZE = 1000;
/** Failures that the answer to an import describes; the others are only counted. */
export const MAX_IMPORT_ERRORS = 100;
/** Size of a row, in bytes of its values, unless PYLON_MAX_ROW_BYTES says otherwise. */
export const DEFAULT_ROW_BYTES = MIB;
/**
 * A page ends with the row at which its values reach this many bytes, even when it may have more
 * rows.
 */
export const MAX_PAGE_BYTES = 2 * MIB;
/**
 * Most bytes of values in an answer that has no next page: a query, a graph query, an aggregate.
 */
export const MAX_RESULT_BYTES = 8 * MIB;
/** Most rows in the answer of a graph query, included rows counted each time they appear. */
export const MAX_GRAPH_ROWS = 10_000;
/** Most entities that a graph query names. */
export const MAX_GRAPH_ENTITIES = 16;
/** Most groups in the answer of an aggregate. */
export const MAX_GROUPS = 10_000;
/** Most measures and groupings of an aggregate together. */
export const MAX_AGGREGATE_TERMS = 32;
/** Changes that are read from the change log at a time end at this many bytes. */
export const MAX_LOG_PAGE_BYTES = 2 * MIB;

/**
 * Bodies that are being received, and answers that wait for their readers, in all: bytes each,
 * unless PYLON_MAX_BYTES_IN_FLIGHT says otherwise.
 */
export const DEFAULT_BYTES_IN_FLIGHT = 32 * MIB;
/** The part of the bytes in flight that one caller may have: one over this. */
export const CALLER_SHARE = 4;
/** Bodies and answers up to this size are not counted among the bytes in flight. */
export const UNCOUNTED_BYTES = 64 * KIB;
/** A body or an answer that does not move for so long is given up, in milliseconds. */
export const STALL_MS = 30_000;
/** When there is no room for another: the same, in milliseconds. */
export const STALL_WHEN_FULL_MS = 1_000;

/** Longest message of a client's socket, in bytes; longer ones are ignored. */
export const MAX_SOCKET_MESSAGE_BYTES = 16 * KIB;
/** Most bytes of each kind of message that a client's socket may send; there are no others. */
export const CLIENT_MESSAGES = {
  ping: 64,
  presence: MAX_SOCKET_MESSAGE_BYTES,
  topic: MAX_SOCKET_MESSAGE_BYTES,
} as const;
/** A kind of message that a client's socket may send. */
export type ClientMessageType = keyof typeof CLIENT_MESSAGES;
/** Longest topic of a message, in characters. */
export const MAX_TOPIC_LENGTH = 256;
/**
 * What one socket may send in a second. Every frame counts, understood or not, before anything of
 * it is looked at.
 */
export const SOCKET_RATE = {
  /** Presence and topic messages that are relayed; more are dropped. */
  relayed: 20,
  /** Frames; with more the socket is closed. */
  frames: 200,
  /** Bytes of all frames; with more the socket is closed. */
  bytes: MIB,
} as const;

/**
 * Most subscriptions that one connection has: a client that comes back asks for all of them at
 * once, which must be fewer frames than a socket may send in a second.
 */
export const MAX_SUBSCRIPTIONS = 100;
/** Most rows of one subscription; more are asked for in parts, by `where` or `limit`. */
export const MAX_SUBSCRIPTION_ROWS = 100_000;
/** Most conditions in the `where` of a subscription. */
export const MAX_SUBSCRIPTION_TERMS = 64;
/** Deepest nesting of `include` in a subscription. */
export const MAX_INCLUDE_DEPTH = 4;
/** Longest `subscribe` message, in bytes: it may name the rows that the client holds. */
export const MAX_SUBSCRIBE_BYTES = 128 * KIB;

/** Most bytes of a live function's result, as JSON. */
export const MAX_LIVE_RESULT_BYTES = MIB;
/** Most different reads of one run of a live function. */
export const MAX_LIVE_READS = 1000;
/** How often live functions are run. */
export const LIVE_RUNS = {
  /** Of all live functions, at the same time; others wait for their turn. */
  atOnce: 8,
  /** Of one live function, in a second; what changes meanwhile is seen by the next run. */
  perSecond: 100,
} as const;

/** Most rooms that have members. */
export const MAX_ROOMS = 10_000;
/** Most rooms that one user is in. */
export const MAX_ROOMS_OF_USER = 100;
/** Most rooms that the guests of one address are in, counted by each replica. */
export const MAX_ROOMS_OF_GUESTS = 200;
/** Longest name of a room, a topic or a user in a room, in characters. */
export const MAX_ROOM_NAME_LENGTH = 256;
/** Most bytes of `data` in a room, as JSON. */
export const MAX_ROOM_DATA_BYTES = 16 * KIB;

/**
 * Wrong admin tokens that one address may send in a window, before all of its tokens are refused.
 */
export const MAX_WRONG_ADMIN_TOKENS = 20;
/** The window of MAX_WRONG_ADMIN_TOKENS, in seconds. */
export const WRONG_ADMIN_TOKENS_SECONDS = 60;

/** Most files of a guest that no row holds. */
export const MAX_LOOSE_FILES_OF_GUEST = 100;
/**
 * Bytes of the files of a guest that no row holds, unless PYLON_FILES_GUEST_BYTES says otherwise.
 */
export const DEFAULT_GUEST_FILE_BYTES = 100 * MIB;
/** The guests of one address together upload as much as so many of them in a day. */
export const GUESTS_OF_ADDRESS = 10;
/** Most users of whom a connection is told that they went offline: those it heard last. */
export const MAX_ACQUAINTANCES = 1000;
/** Reads of all callers that may wait for a reader of the database. */
export const MAX_WAITING_READS = 1000;
/** The same of one caller. */
export const MAX_WAITING_READS_PER_CALLER = 250;
/**
 * Most rows that one transaction writes: a mutation, a transaction over HTTP. On SQLite all other
 * writes wait for it, and the event loop with them: some 20 ms a thousand rows.
 */
export const MAX_TRANSACTION_WRITES = 10_000;
/** Most rows that one transaction writes because they refer to a row that it deletes. */
export const MAX_CASCADE_WRITES = 200_000;
/** Most characters of a text whose field has a pattern. */
export const MAX_PATTERN_TEXT = 10_000;
/** Most values of an enum field. */
export const MAX_ENUM_VALUES = 1_000;
/** Most items of an array field. */
export const MAX_ARRAY_ITEMS = 10_000;
/** Most levels that a json field nests; around it come those of a request. */
export const MAX_FIELD_DEPTH = 20;
/** Most bytes of a bytes field, whatever it says itself. */
export const MAX_FIELD_BYTES = 256 * KIB;
/** Most bytes of a job's arguments, as JSON. */
export const MAX_JOB_ARGS_BYTES = 256 * KIB;
/** Most jobs that one call of a function schedules. */
export const MAX_SCHEDULED_PER_CALL = 1000;
/** How far ahead a job may be scheduled, in milliseconds: ten years. */
export const MAX_JOB_DELAY_MS = 10 * 365 * 24 * 60 * 60_000;
/** Most attempts at one job. */
export const MAX_JOB_ATTEMPTS = 100;
/** Most starts that the rate of a queue may allow in its window. */
export const MAX_QUEUE_RATE = 1000;
/** Most steps, sleeps and waits of one run of a workflow. */
export const MAX_WORKFLOW_STEPS = 1000;
/** Most bytes of a workflow's input, of an event, and of the result of a step or a run, as JSON. */
export const MAX_WORKFLOW_VALUE_BYTES = 256 * KIB;
/** Most bytes of the results of all steps of one run together, as JSON. */
export const MAX_WORKFLOW_BYTES = 8 * MIB;

/** Most shards that one server runs. */
export const MAX_SHARDS = 100;
/** Most shards of a server that one user is in. */
export const MAX_SHARDS_OF_USER = 4;
/** Most connections of one user to one shard. */
export const MAX_SHARD_CONNECTIONS_OF_USER = 4;
/** Longest message of a client to a shard, in bytes; longer ones are refused. */
export const MAX_SHARD_INPUT_BYTES = 4 * KIB;
/** Most inputs that wait for the next step of a shard. */
export const MAX_SHARD_QUEUE = 10_000;
/** Most bytes of the state of a shard, and of what a player sees of it, as JSON. */
export const MAX_SHARD_STATE_BYTES = MIB;
/** Deepest nesting of the state of a shard, and of what a player sees of it. */
export const MAX_SHARD_DEPTH = 64;
/** With more bytes that wait for a slow reader, a shard leaves steps out for it. */
export const SHARD_BACKLOG_BYTES = 64 * KIB;
/** A reader for whom steps were left out for so long is cut off, in milliseconds. */
export const SHARD_STALL_MS = 10_000;
/** Steps of a shard that fail one after another, before it is ended. */
export const MAX_SHARD_FAILURES = 10;
