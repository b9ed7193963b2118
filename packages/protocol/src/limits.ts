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

/** The maximum nesting depth of arrays and objects in a JSON body or socket message. */
export const MAX_JSON_DEPTH = 32;
/** The maximum number of values, including nested ones, in a JSON body or socket message. */
export const MAX_JSON_VALUES = 250_000;
/** Calls of functions whose traces are kept, the newest. */
export const MAX_TRACES = 1000;
/** The maximum number of operations of one call in its trace; those after them are counted. */
export const MAX_TRACE_OPS = 100;
/** The maximum number of printed lines in the trace of a call. */
export const MAX_TRACE_LINES = 50;
/** Calls of isolated functions that may wait for a process. */
export const MAX_WAITING_ISOLATED_CALLS = 1000;
/** The maximum nesting depth of what a function returns. */
export const MAX_RESULT_DEPTH = 256;
/** The maximum number of changes in one push, and operations in one batch or transaction. */
export const MAX_PUSH_CHANGES = 1000;
/**
 * Bytes of a push that the client sends; a larger single change goes alone. Common proxies take no
 * more than this in one request.
 */
export const MAX_PUSH_BYTES = 1024 * 1024;
/**
 * The maximum length of a push over a socket, in characters: for small writes, which it makes
 * faster. At the rate of SOCKET_RATE, frames of this length take a fraction of its bytes.
 */
export const MAX_SOCKET_PUSH_LENGTH = 4 * KIB;
/** The maximum size of a client's change, in bytes: servers accept no larger one in a request. */
export const MAX_CHANGE_BYTES = 9 * 1024 * 1024;
/** The maximum number of claims that a user, or one session, may have. */
export const MAX_CLAIMS = 32;
/** The maximum total size of all claims of a user, or of one session, in bytes of JSON. */
export const MAX_CLAIMS_BYTES = 2048;
/** Rows of a page of `ctx.db.paginate` without `limit`. */
export const DEFAULT_PAGE_SIZE = 100;
/** The maximum length of a page cursor, in characters: it holds the values of the sort keys. */
export const MAX_CURSOR_LENGTH = 8192;
/** The maximum number of rows that a list, a page, a query or a pull may ask for. */
export const MAX_PAGE_SIZE = 1000;
/** Failures that the answer to an import describes; the others are only counted. */
export const MAX_IMPORT_ERRORS = 100;
/** Size of a row, in bytes of its values, unless PYLON_MAX_ROW_BYTES says otherwise. */
export const DEFAULT_ROW_BYTES = MIB;
/** A page ends with the row at which its values reach this number of bytes. */
export const MAX_PAGE_BYTES = 2 * MIB;
/** The maximum bytes of values in a result without pages: a query, graph query or aggregate. */
export const MAX_RESULT_BYTES = 8 * MIB;
/** The maximum number of rows in a graph query's result, counting each included occurrence. */
export const MAX_GRAPH_ROWS = 10_000;
/** The maximum number of entities that a graph query names. */
export const MAX_GRAPH_ENTITIES = 16;
/** The maximum number of groups in the answer of an aggregate. */
export const MAX_GROUPS = 10_000;
/** The maximum number of measures and groupings of an aggregate together. */
export const MAX_AGGREGATE_TERMS = 32;
/** The maximum number of text, facet and sort fields each in the search of an entity. */
export const MAX_SEARCH_FIELDS = 16;
/** The maximum length of a text that is searched for, in characters. */
export const MAX_SEARCH_LENGTH = 500;
/** The maximum number of words of a text that is searched for. */
export const MAX_SEARCH_WORDS = 16;
/** The maximum number of hits of a page of a search. */
export const MAX_SEARCH_PAGE = 100;
/** The maximum number of values of a facet in an answer: those that most hits have. */
export const MAX_FACET_VALUES = 100;
/** Changes that are read from the change log at a time end at this many bytes. */
export const MAX_LOG_PAGE_BYTES = 2 * MIB;

/**
 * Bodies that are being received, and answers that wait for their readers, in all: bytes each,
 * unless PYLON_MAX_BYTES_IN_FLIGHT says otherwise.
 */
export const DEFAULT_BYTES_IN_FLIGHT = 32 * MIB;
/**
 * The responses of writes, calls and HTTP functions may have this many times as many bytes: beyond
 * it a reader is disconnected, which must only happen to those that are slow.
 */
export const ONCE_ANSWERS_FACTOR = 4;
/** The part of the bytes in flight that one caller may have: one over this. */
export const CALLER_SHARE = 4;
/**
 * The maximum number of bytes queued for all slow readers of live connections together, unless
 * PYLON_MAX_QUEUED_BYTES says otherwise.
 */
export const DEFAULT_QUEUED_BYTES = 256 * MIB;
/** The part of the queued bytes that the readers of one network may have: one over this. */
export const QUEUE_SHARE = 4;
/** Bodies and answers up to this size are not counted among the bytes in flight. */
export const UNCOUNTED_BYTES = 64 * KIB;
/** The time without progress after which a body or a response is aborted, in milliseconds. */
export const STALL_MS = 30_000;
/** The same when the bytes in flight are exhausted, in milliseconds. */
export const STALL_WHEN_FULL_MS = 1_000;

/** The maximum length of a message of a client's socket, in bytes; longer ones are ignored. */
export const MAX_SOCKET_MESSAGE_BYTES = 16 * KIB;
/** The maximum size of each type of message from a client's socket, in bytes. */
export const CLIENT_MESSAGES = {
  ping: 64,
  presence: MAX_SOCKET_MESSAGE_BYTES,
  topic: MAX_SOCKET_MESSAGE_BYTES,
} as const;
/** A kind of message that a client's socket may send. */
export type ClientMessageType = keyof typeof CLIENT_MESSAGES;
/** The maximum length of a topic of a message, in characters. */
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
/** The maximum number of rows per subscription; request more in parts, by `where` or `limit`. */
export const MAX_SUBSCRIPTION_ROWS = 100_000;
/** The maximum number of conditions in the `where` of a subscription. */
export const MAX_SUBSCRIPTION_TERMS = 64;
/**
 * The maximum length of the queries and arguments of all subscriptions of a connection, as JSON:
 * the server keeps them.
 */
export const MAX_SUBSCRIPTION_CHARACTERS = 256 * KIB;
/**
 * The maximum number of conditions that scan a whole value, such as `$like`, in all subscriptions
 * of a connection: each change of a row is compared with them.
 */
export const MAX_SUBSCRIPTION_SEARCHES = 200;
/**
 * The maximum length of the values that the rows of a subscription with a limit, or of an included
 * relation, are ordered by, in total: the server keeps them.
 */
export const MAX_ORDER_CHARACTERS = 256 * KIB;
/** The maximum nesting depth of `include` in a query or a subscription. */
export const MAX_INCLUDE_DEPTH = 4;
/** The maximum number of relations that a query or a subscription includes, at all levels. */
export const MAX_INCLUDES = 16;
/** The maximum length of a `subscribe` message, in bytes: it may list the client's row ids. */
export const MAX_SUBSCRIBE_BYTES = 128 * KIB;

/** The maximum number of client messages per request of a live connection without a socket. */
export const MAX_LIVE_REQUEST_MESSAGES = 200;
/** The maximum size of such a request in bytes; a larger message is sent in its own request. */
export const MAX_LIVE_REQUEST_BYTES = 512 * KIB;
/** The maximum duration of a long poll, in milliseconds. */
export const LIVE_POLL_MS = 20_000;
/** The time without a poll after which a live connection ends, in milliseconds. */
export const LIVE_POLL_LEASE_MS = 15_000;

/** The maximum size of a live function's result, in bytes of JSON. */
export const MAX_LIVE_RESULT_BYTES = MIB;
/** The maximum number of different reads of one run of a live function. */
export const MAX_LIVE_READS = 1000;
/** How often live functions are run. */
export const LIVE_RUNS = {
  /** Of all live functions, at the same time; others wait for their turn. */
  atOnce: 8,
  /** Of all live aggregates and searches, at the same time. */
  readsAtOnce: 64,
  /** Of the live aggregates and searches of one user, or of the guests of a network. */
  readsPerCaller: 2,
  /** Of one live function, in a second; what changes meanwhile is seen by the next run. */
  perSecond: 100,
} as const;

/**
 * The maximum size of an update of a document in bytes, before it is written as hex. The time that
 * the server and each reader need for one grows with the square of the inserted text.
 */
export const MAX_DOCUMENT_UPDATE_BYTES = 256 * KIB;
/**
 * The maximum size of a document in bytes, with its history: beyond it, the history is dropped. If
 * the document is still too large, the update is rejected.
 */
export const MAX_DOCUMENT_BYTES = 2 * MIB;
/** The maximum number of documents that one socket is subscribed to. */
export const MAX_DOCUMENT_SUBSCRIPTIONS = 50;
/** How long the server works on one update of a document, in milliseconds. */
export const DOCUMENT_UPDATE_MS = 5_000;
/** How long it works on the updates of one user, before it rejects them, in milliseconds. */
export const MAX_DOCUMENT_UPDATES_MS = 10_000;
/** The number of updates to a document that wait to be merged by one server. */
export const MAX_WAITING_DOCUMENT_UPDATES = 1_000;

/** The maximum number of rooms that have members. */
export const MAX_ROOMS = 10_000;
/** The maximum number of rooms that one user is in. */
export const MAX_ROOMS_OF_USER = 100;
/** The maximum number of rooms that the guests of one address are in, counted by each replica. */
export const MAX_ROOMS_OF_GUESTS = 200;
/** The maximum length of a name of a room, a topic or a user in a room, in characters. */
export const MAX_ROOM_NAME_LENGTH = 256;
/** The maximum size of `data` in a room, in bytes of JSON. */
export const MAX_ROOM_DATA_BYTES = 16 * KIB;

/** The number of wrong admin tokens per address and window after which all are rejected. */
export const MAX_WRONG_ADMIN_TOKENS = 20;
/** The window of MAX_WRONG_ADMIN_TOKENS, in seconds. */
export const WRONG_ADMIN_TOKENS_SECONDS = 60;

/** The maximum number of uploads of a user that are not finished and can be resumed. */
export const MAX_OPEN_UPLOADS = 100;
/** The maximum number of files of a guest that no row holds. */
export const MAX_LOOSE_FILES_OF_GUEST = 100;
/**
 * Bytes of the files of a guest that no row holds, unless PYLON_FILES_GUEST_BYTES says otherwise.
 */
export const DEFAULT_GUEST_FILE_BYTES = 100 * MIB;
/** The maximum number of bytes of a file that a function writes, or reads at once. */
export const MAX_FUNCTION_FILE_BYTES = 32 * MIB;
/** The guests of one address together upload as much as so many of them in a day. */
export const GUESTS_OF_ADDRESS = 10;
/** The maximum number of users whose disconnects a connection receives: the most recent senders. */
export const MAX_RECENT_SENDERS = 1000;
/** Reads of all callers that may wait for a reader of the database. */
export const MAX_WAITING_READS = 1000;
/** The maximum number of waiting reads per caller. */
export const MAX_WAITING_READS_PER_CALLER = 250;
/**
 * Most rows that one transaction writes: a mutation, a transaction over HTTP. On SQLite all other
 * writes wait for it, and the event loop with them: some 20 ms a thousand rows.
 */
export const MAX_TRANSACTION_WRITES = 10_000;
/** The maximum number of rows that the cascading deletes of one transaction write. */
export const MAX_CASCADE_WRITES = 200_000;
/** The maximum number of characters of a text whose field has a pattern. */
export const MAX_PATTERN_TEXT = 10_000;
/** The maximum number of values of an enum field. */
export const MAX_ENUM_VALUES = 1_000;
/** The maximum number of items of an array field. */
export const MAX_ARRAY_ITEMS = 10_000;
/** The maximum number of levels that a json field nests; around it come those of a request. */
export const MAX_FIELD_DEPTH = 20;
/** The maximum number of bytes of a bytes field, whatever it says itself. */
export const MAX_FIELD_BYTES = 256 * KIB;
/** The maximum number of bytes of an answer that `ctx.fetch` reads. */
export const MAX_FETCH_BYTES = 32 * MIB;
/** The maximum number of bytes that a function's stream holds for a client that does not read. */
export const MAX_STREAM_BUFFER = 4 * MIB;
/** The maximum size of a response that is kept for a retry of its request, in bytes of JSON. */
export const MAX_KEPT_ANSWER_BYTES = MIB;
/** A response of up to this size is not counted: it takes little more space than its key. */
export const COUNTED_ANSWER_BYTES = KIB;
/** The maximum size of the counted responses of a user or an API key that are kept together. */
export const MAX_KEPT_ANSWERS_BYTES = 32 * MIB;
/** The maximum size of a job's arguments, in bytes of JSON. */
export const MAX_JOB_ARGS_BYTES = 256 * KIB;
/** The maximum number of calls that the hooks of one transaction schedule. */
export const MAX_HOOK_CALLS = 20_000;
/** The maximum depth of hooks that trigger other hooks by writing rows. */
export const MAX_HOOK_DEPTH = 8;
/** The maximum number of messages of a request to a model. */
export const MAX_AI_MESSAGES = 1000;
/** The maximum number of bytes of a model's response, including the provider's envelope. */
export const MAX_AI_ANSWER_BYTES = 16 * MIB;
/** The maximum number of jobs that one call of a function schedules. */
export const MAX_SCHEDULED_PER_CALL = 1000;
/** How far ahead a job may be scheduled, in milliseconds: ten years. */
export const MAX_JOB_DELAY_MS = 10 * 365 * 24 * 60 * 60_000;
/** The maximum number of attempts at one job. */
export const MAX_JOB_ATTEMPTS = 100;
/** The maximum number of starts that the rate of a queue may allow in its window. */
export const MAX_QUEUE_RATE = 1000;
/** The maximum number of steps, sleeps and waits of one run of a workflow. */
export const MAX_WORKFLOW_STEPS = 1000;
/**
 * The maximum size of a workflow's input, of an event, and of the result of a step or a run, in
 * bytes of JSON.
 */
export const MAX_WORKFLOW_VALUE_BYTES = 256 * KIB;
/** The maximum total size of the results of all steps of one run, in bytes of JSON. */
export const MAX_WORKFLOW_BYTES = 8 * MIB;

/** The maximum number of shards that one server runs. */
export const MAX_SHARDS = 100;
/** The maximum number of shards of a server that one user is in. */
export const MAX_SHARDS_OF_USER = 4;
/** The maximum number of connections of one user to one shard. */
export const MAX_SHARD_CONNECTIONS_OF_USER = 4;
/** The maximum length of a message of a client to a shard, in bytes; longer ones are rejected. */
export const MAX_SHARD_INPUT_BYTES = 4 * KIB;
/** The maximum number of inputs that wait for the next step of a shard. */
export const MAX_SHARD_QUEUE = 10_000;
/** The maximum size of the state of a shard, and of what a player sees of it, in bytes of JSON. */
export const MAX_SHARD_STATE_BYTES = MIB;
/** The maximum number of calls of a shard whose results have not arrived. */
export const MAX_SHARD_CALLS = 100;
/**
 * The maximum size of the arguments of a shard's call with their data, of a timer's data, and of a
 * call's result, in characters of JSON.
 */
export const MAX_SHARD_CALL_BYTES = 64 * KIB;
/** The maximum number of running timers of a shard. */
export const MAX_SHARD_TIMERS = 1000;
/** The maximum number of lines that a shard logs in one step. */
export const MAX_SHARD_LOG_LINES_OF_STEP = 20;
/** The maximum number of lines that a shard logs in ten seconds. */
export const MAX_SHARD_LOG_LINES = 100;
/** The lifetime of a join token, in milliseconds. */
export const JOIN_TOKEN_MS = 60_000;
/** For how long a client that came with a join token may come back, in milliseconds. */
export const RECONNECT_TOKEN_MS = 10 * 60_000;
/** The maximum number of tickets that wait in one queue of the matchmaker. */
export const MAX_MATCH_TICKETS = 10_000;
/** The maximum number of requests of a server that wait for a change of a ticket. */
export const MAX_TICKET_WAITS = 10_000;
/** The maximum size of one recording of a shard, in bytes of JSON; the next one continues it. */
export const MAX_REPLAY_BYTES = 4 * MIB;
/** The maximum number of shard recordings of all replicas; the oldest are deleted first. */
export const MAX_REPLAYS = 10_000;
/** The maximum nesting depth of the state of a shard, and of what a player sees of it. */
export const MAX_SHARD_DEPTH = 64;
/** The number of buffered bytes above which a shard skips steps for a slow reader. */
export const SHARD_BACKLOG_BYTES = 64 * KIB;
/** The time of skipped steps after which a slow reader is disconnected, in milliseconds. */
export const SHARD_STALL_MS = 10_000;
/** The number of consecutive failed steps after which a shard is ended. */
export const MAX_SHARD_FAILURES = 10;
/** The maximum number of invitations of an organization that have not been accepted. */
export const MAX_INVITATIONS = 1000;
/** The maximum number of browsers that a user trusts; a further one replaces the oldest. */
export const MAX_TRUSTED_DEVICES = 50;
/** The maximum number of API keys of a user. */
export const MAX_API_KEYS = 100;
/** The maximum number of passkeys of a user. */
export const MAX_PASSKEYS = 20;
/** The maximum number of MCP clients that a user gives access to; another replaces the oldest. */
export const MAX_MCP_GRANTS = 50;
/** The maximum number of registered MCP clients, of all users together. */
export const MAX_MCP_CLIENTS = 10_000;
/** The maximum number of a user's files that were announced and have not been uploaded. */
export const MAX_PENDING_UPLOADS = 1000;
