// Writes docs/limits.md from the server's constants and routes: `bun scripts/limits-doc.ts`.
import {
  BODY_LIMITS,
  CALLER_SHARE,
  CLIENT_MESSAGES,
  DEFAULT_PAGE_SIZE,
  GUESTS_OF_ADDRESS,
  LIVE_RUNS,
  MAX_ACQUAINTANCES,
  MAX_AI_ANSWER_BYTES,
  MAX_AI_MESSAGES,
  MAX_CURSOR_LENGTH,
  MAX_AGGREGATE_TERMS,
  MAX_CLAIMS,
  MAX_CLAIMS_BYTES,
  MAX_GRAPH_ENTITIES,
  MAX_GRAPH_ROWS,
  MAX_GROUPS,
  MAX_TRACE_LINES,
  MAX_TRACE_OPS,
  MAX_TRACES,
  MAX_WAITING_ISOLATED_CALLS,
  MAX_FACET_VALUES,
  MAX_SEARCH_FIELDS,
  MAX_SEARCH_LENGTH,
  MAX_SEARCH_PAGE,
  MAX_SEARCH_WORDS,
  MAX_WAITING_READS,
  MAX_WAITING_READS_PER_CALLER,
  MAX_HOOK_CALLS,
  MAX_HOOK_DEPTH,
  MAX_IMPORT_ERRORS,
  MAX_INCLUDE_DEPTH,
  MAX_FETCH_BYTES,
  MAX_FUNCTION_FILE_BYTES,
  MAX_INCLUDES,
  MAX_JOB_ARGS_BYTES,
  MAX_JOB_ATTEMPTS,
  MAX_JOB_DELAY_MS,
  MAX_JSON_DEPTH,
  MAX_JSON_VALUES,
  MAX_LIVE_READS,
  MAX_LIVE_RESULT_BYTES,
  MAX_LOG_PAGE_BYTES,
  MAX_LOOSE_FILES_OF_GUEST,
  MAX_OPEN_UPLOADS,
  MAX_PAGE_BYTES,
  MAX_PAGE_SIZE,
  MAX_CHANGE_BYTES,
  MAX_PUSH_BYTES,
  MAX_QUEUE_RATE,
  MAX_PUSH_CHANGES,
  MAX_RESULT_BYTES,
  MAX_RESULT_DEPTH,
  MAX_ROOM_DATA_BYTES,
  MAX_ROOM_NAME_LENGTH,
  MAX_ROOMS,
  MAX_ROOMS_OF_GUESTS,
  MAX_ROOMS_OF_USER,
  JOIN_TOKEN_MS,
  MAX_MATCH_TICKETS,
  MAX_TICKET_WAITS,
  RECONNECT_TOKEN_MS,
  MAX_SHARD_CALL_BYTES,
  MAX_SHARD_CALLS,
  MAX_SHARD_CONNECTIONS_OF_USER,
  MAX_SHARD_DEPTH,
  MAX_REPLAY_BYTES,
  MAX_REPLAYS,
  MAX_SHARD_FAILURES,
  MAX_SHARD_INPUT_BYTES,
  MAX_SHARD_LOG_LINES,
  MAX_SHARD_LOG_LINES_OF_STEP,
  MAX_SHARD_QUEUE,
  MAX_SHARD_STATE_BYTES,
  MAX_SHARD_TIMERS,
  MAX_SHARDS,
  MAX_SHARDS_OF_USER,
  MAX_SCHEDULED_PER_CALL,
  LIVE_POLL_LEASE_MS,
  LIVE_POLL_MS,
  MAX_LIVE_REQUEST_BYTES,
  MAX_LIVE_REQUEST_MESSAGES,
  MAX_SOCKET_PUSH_LENGTH,
  MAX_SUBSCRIBE_BYTES,
  MAX_SUBSCRIPTION_ROWS,
  MAX_SUBSCRIPTION_TERMS,
  MAX_SUBSCRIPTIONS,
  MAX_TOPIC_LENGTH,
  MAX_STREAM_BUFFER,
  MAX_TRANSACTION_WRITES,
  MAX_ARRAY_ITEMS,
  MAX_CASCADE_WRITES,
  MAX_ENUM_VALUES,
  MAX_FIELD_BYTES,
  MAX_FIELD_DEPTH,
  MAX_PATTERN_TEXT,
  MAX_WORKFLOW_BYTES,
  MAX_WORKFLOW_STEPS,
  MAX_WORKFLOW_VALUE_BYTES,
  MAX_WRONG_ADMIN_TOKENS,
  SHARD_BACKLOG_BYTES,
  SHARD_STALL_MS,
  SOCKET_RATE,
  STALL_MS,
  STALL_WHEN_FULL_MS,
  UNCOUNTED_BYTES,
  WRONG_ADMIN_TOKENS_SECONDS,
  type BodyLimit,
} from "@pylonsync/protocol";
import {
  MAX_FILTER_DEPTH,
  MAX_LIST_VALUES,
  MAX_LISTED_VALUES,
  MAX_MEMBER_STEPS,
  MAX_NEEDLE_LENGTH,
  MAX_NODES,
  MAX_RELATED,
  MAX_SEARCHES,
} from "@pylonsync/query";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { createServer, loadConfig, VARIABLES, type RouteSummary } from "@pylonsync/server";

type Row = readonly [cap: string, value: string, variable: string, answer: string];
type NumberVariable = {
  [N in keyof typeof VARIABLES]: (typeof VARIABLES)[N]["fallback"] extends number ? N : never;
}[keyof typeof VARIABLES];

const KIB = 1024;
const UNITS = [
  ["GiB", KIB ** 3],
  ["MiB", KIB ** 2],
  ["KiB", KIB],
] as const;

/** `64 KiB` */
function bytes(count: number): string {
  const [name, size] = UNITS.find(([, unit]) => count >= unit && count % unit === 0) ?? [
    "bytes",
    1,
  ];
  return `${count / size} ${name}`;
}

function number(count: number): string {
  return count.toLocaleString("en");
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}

/** A limit with the default of the variable. */
function configured(
  cap: string,
  variable: NumberVariable,
  show: (value: number) => string,
  answer: string,
): Row {
  return [cap, show(VARIABLES[variable].fallback), `\`${variable}\``, answer];
}

const INVALID_JSON = "400 `INVALID_JSON`";
const INVALID_QUERY = "400 `INVALID_QUERY`";
const TOO_LARGE = "413 `PAYLOAD_TOO_LARGE`";
const RESULT = "400 `RESULT_TOO_LARGE`";
const LIMITED = "429 `RATE_LIMITED`";
const OVERLOADED = "503 `OVERLOADED`";
const ROOMS = "429 `ROOM_LIMIT_REACHED`";
const QUOTA = "429 `FILE_QUOTA_REACHED`";
const SHORT_PAGE = "a shorter page, with `has_more` or a next cursor";

const SECTIONS: readonly (readonly [title: string, rows: readonly Row[]])[] = [
  [
    "Requests",
    [
      ["size of a request body", "by route, see below", "", TOO_LARGE],
      ["JSON nesting", `${MAX_JSON_DEPTH} levels`, "", INVALID_JSON],
      ["JSON values, including nested ones", number(MAX_JSON_VALUES), "", INVALID_JSON],
      [
        "changes in a push, operations in a batch or transaction",
        number(MAX_PUSH_CHANGES),
        "",
        "400 `INVALID_DATA`",
      ],
      [
        "rows that one transaction writes",
        number(MAX_TRANSACTION_WRITES),
        "",
        "413 `TRANSACTION_TOO_LARGE`; rolled back",
      ],
      [
        "rows that one transaction writes because they refer to a deleted row",
        number(MAX_CASCADE_WRITES),
        "",
        "413 `TRANSACTION_TOO_LARGE`; rolled back",
      ],
      ["response body that ctx.fetch reads", bytes(MAX_FETCH_BYTES), "", "the read fails"],
      [
        "file that a function writes, or reads into memory",
        bytes(MAX_FUNCTION_FILE_BYTES),
        "",
        "413 `PAYLOAD_TOO_LARGE`",
      ],
      [
        "buffered bytes of a function's stream when the client does not read",
        bytes(MAX_STREAM_BUFFER),
        "",
        "`STREAM_TOO_SLOW`; the call ends",
      ],
      [
        "nesting of hooks whose writes trigger other hooks",
        number(MAX_HOOK_DEPTH),
        "",
        "413 `TRANSACTION_TOO_LARGE`; rolled back",
      ],
      [
        "calls scheduled by the hooks of one transaction, including webhook messages",
        number(MAX_HOOK_CALLS),
        "",
        "413 `TRANSACTION_TOO_LARGE`; rolled back",
      ],
      ["messages in a request to the AI model", number(MAX_AI_MESSAGES), "", "400 `INVALID_DATA`"],
      ["size of a model response", bytes(MAX_AI_ANSWER_BYTES), "", "502 `AI_FAILED`"],
      configured("tokens in a model response", "PYLON_AI_MAX_TOKENS", number, "400 `INVALID_DATA`"),
      configured(
        "model requests per user per minute",
        "PYLON_AI_RATE_LIMIT_MAX",
        number,
        "429 `RATE_LIMITED`",
      ),
      configured(
        "model tokens per user in 24 hours",
        "PYLON_AI_TOKENS_PER_DAY",
        number,
        "429 `RATE_LIMITED`",
      ),
      ["arguments of a job", bytes(MAX_JOB_ARGS_BYTES), "", "413 `PAYLOAD_TOO_LARGE`"],
      [
        "calls scheduled by one call",
        number(MAX_SCHEDULED_PER_CALL),
        "",
        "413 `TRANSACTION_TOO_LARGE`; rolled back",
      ],
      ["`max` of a queue's rate", number(MAX_QUEUE_RATE), "", "the app is invalid"],
      ["steps, sleeps and waits per workflow run", number(MAX_WORKFLOW_STEPS), "", "the run fails"],
      [
        "input, event, step result or result of a workflow",
        bytes(MAX_WORKFLOW_VALUE_BYTES),
        "",
        "413 `PAYLOAD_TOO_LARGE`, or the step fails",
      ],
      ["all step results of a workflow run", bytes(MAX_WORKFLOW_BYTES), "", "the run fails"],
      ["attempts of a job", number(MAX_JOB_ATTEMPTS), "", "400 `INVALID_ARGS`"],
      [
        "years that a job can be scheduled ahead",
        number(MAX_JOB_DELAY_MS / (365 * 24 * 60 * 60_000)),
        "",
        "400 `INVALID_ARGS`",
      ],
      [
        "a push request of the client library",
        bytes(MAX_PUSH_BYTES),
        "",
        "split into several " + "requests",
      ],
      ["a change in the client library", bytes(MAX_CHANGE_BYTES), "", "rejected by the client"],
      [
        "failures that an import reports in detail",
        number(MAX_IMPORT_ERRORS),
        "",
        "the rest are only counted",
      ],
      configured("requests per IP address per window", "PYLON_RATE_LIMIT_MAX", number, LIMITED),
      configured(
        "calls per function and caller per window",
        "PYLON_FN_RATE_LIMIT_MAX",
        number,
        LIMITED,
      ),
      [
        `wrong tokens per IP address in ${WRONG_ADMIN_TOKENS_SECONDS} s, sent to a route of ` +
          "the admin or not in the format of a token that this server issues",
        number(MAX_WRONG_ADMIN_TOKENS),
        "",
        `${LIMITED}, even with the right admin token; logged`,
      ],
    ],
  ],
  [
    "Bytes in flight",
    [
      configured(
        "request bodies being received, and separately responses that wait for slow readers",
        "PYLON_MAX_BYTES_IN_FLIGHT",
        bytes,
        OVERLOADED,
      ),
      ["share of one caller", `1/${CALLER_SHARE}`, "", LIMITED],
      ["bodies and responses up to this size are not counted", bytes(UNCOUNTED_BYTES), "", ""],
      [
        "time without progress of a body or response",
        seconds(STALL_MS),
        "",
        "the connection is " + "closed",
      ],
      [
        "the same, when the memory is needed for others",
        seconds(STALL_WHEN_FULL_MS),
        "",
        "the connection is closed",
      ],
    ],
  ],
  [
    "Rows and results",
    [
      configured("values of a row", "PYLON_MAX_ROW_BYTES", bytes, TOO_LARGE),
      ["values of an enum", number(MAX_ENUM_VALUES), "", "the app is invalid"],
      [
        "claims of a user, and their total size as JSON",
        `${MAX_CLAIMS}, ${bytes(MAX_CLAIMS_BYTES)}`,
        "",
        "400 `INVALID_DATA`",
      ],
      ["items of an array", number(MAX_ARRAY_ITEMS), "", "400 `INVALID_DATA`"],
      ["nesting of a json field, in levels", number(MAX_FIELD_DEPTH), "", "400 `INVALID_DATA`"],
      [
        "characters of a string field with a pattern",
        number(MAX_PATTERN_TEXT),
        "",
        "400 " + "`INVALID_DATA`",
      ],
      ["a `bytes` field", bytes(MAX_FIELD_BYTES), "`maxBytes` of the field", "400 `INVALID_DATA`"],
      [
        "rows per page of `ctx.db.paginate` or `/api/page` without a `limit`",
        number(DEFAULT_PAGE_SIZE),
        "",
        "",
      ],
      [
        "rows per list, page, query or pull",
        number(MAX_PAGE_SIZE),
        "",
        `${INVALID_QUERY}; a pull uses the maximum`,
      ],
      ["characters of a page cursor", number(MAX_CURSOR_LENGTH), "", INVALID_QUERY],
      ["a page of a list, a cursor, a pull or an export", bytes(MAX_PAGE_BYTES), "", SHORT_PAGE],
      [
        "a query, graph query or aggregate, which have no next page",
        bytes(MAX_RESULT_BYTES),
        "",
        RESULT,
      ],
      ["changes read from the log in one step", bytes(MAX_LOG_PAGE_BYTES), "", SHORT_PAGE],
      ["rows of a graph query, including related rows", number(MAX_GRAPH_ROWS), "", RESULT],
      ["entities of a graph query", number(MAX_GRAPH_ENTITIES), "", INVALID_QUERY],
      ["groups of an aggregate", number(MAX_GROUPS), "", RESULT],
      [
        "fields, facets and sorts of a search",
        `${MAX_SEARCH_FIELDS} each`,
        "",
        "the server " + "does not start",
      ],
      ["hits per page of a search", number(MAX_SEARCH_PAGE), "", "reduced to the maximum"],
      ["characters of a search query", number(MAX_SEARCH_LENGTH), "", INVALID_QUERY],
      ["words of a search query", number(MAX_SEARCH_WORDS), "", INVALID_QUERY],
      ["values of a facet", number(MAX_FACET_VALUES), "", "the most frequent are returned"],
      configured(
        "duration of a read",
        "PYLON_QUERY_TIMEOUT",
        (value) => `${value} s`,
        "503 `QUERY_TIMEOUT`",
      ),
      ["reads that wait for a SQLite reader", number(MAX_WAITING_READS), "", OVERLOADED],
      ["waiting reads per caller", number(MAX_WAITING_READS_PER_CALLER), "", OVERLOADED],
      ["measures and groupings of an aggregate", number(MAX_AGGREGATE_TERMS), "", INVALID_QUERY],
      configured(
        "changes that the log keeps",
        "PYLON_CHANGE_LOG_MAX",
        number,
        "410 `RESYNC_REQUIRED`",
      ),
    ],
  ],
  [
    "Filters",
    [
      ["conditions, and parts of a policy", number(MAX_NODES), "", INVALID_QUERY],
      ["nesting of `$and`, `$or`, `$not`", `${MAX_FILTER_DEPTH} levels`, "", INVALID_QUERY],
      ["values of one `$in` or `$nin`", number(MAX_LIST_VALUES), "", INVALID_QUERY],
      ["values of all `$in` and `$nin` in a filter", number(MAX_LISTED_VALUES), "", INVALID_QUERY],
      [
        "characters of `$like`, `$ilike`, `$startsWith` and `$endsWith`",
        number(MAX_NEEDLE_LENGTH),
        "",
        INVALID_QUERY,
      ],
      ["conditions on related rows in a filter", number(MAX_RELATED), "", INVALID_QUERY],
      [
        "`$like`, `$ilike`, `$has` and `$hasAny` in a filter",
        number(MAX_SEARCHES),
        "",
        INVALID_QUERY,
      ],
      ["keys of a path into a json field", number(MAX_MEMBER_STEPS), "", INVALID_QUERY],
    ],
  ],
  [
    "Shards",
    [
      ["shards per server", number(MAX_SHARDS), "", "closed with 1013"],
      ["shards per user", number(MAX_SHARDS_OF_USER), "", "closed with 1013"],
      [
        "connections per user and shard",
        number(MAX_SHARD_CONNECTIONS_OF_USER),
        "",
        "closed with 1013",
      ],
      ["an input", bytes(MAX_SHARD_INPUT_BYTES), "", "rejected with `PAYLOAD_TOO_LARGE`"],
      [
        "inputs that wait for a step",
        number(MAX_SHARD_QUEUE),
        "",
        "rejected with " + "`INPUT_REJECTED`",
      ],
      ["the state, as JSON", bytes(MAX_SHARD_STATE_BYTES), "", "the shard is ended"],
      ["a view, as JSON", bytes(MAX_SHARD_STATE_BYTES), "", "the view fails"],
      [
        "nesting of the state and of a view",
        `${MAX_SHARD_DEPTH} levels`,
        "",
        "the step or view " + "fails",
      ],
      ["calls of a shard in progress", number(MAX_SHARD_CALLS), "", "the call throws"],
      ["a call's arguments and data, as JSON", bytes(MAX_SHARD_CALL_BYTES), "", "the call throws"],
      ["a call's result, as JSON", bytes(MAX_SHARD_CALL_BYTES), "", "`RESULT_TOO_LARGE`"],
      ["timers of a shard", number(MAX_SHARD_TIMERS), "", "`step.after` throws"],
      ["log lines of a step", number(MAX_SHARD_LOG_LINES_OF_STEP), "", "dropped"],
      ["log lines of a shard in ten seconds", number(MAX_SHARD_LOG_LINES), "", "dropped"],
      ["failed steps in a row", number(MAX_SHARD_FAILURES), "", "the shard is ended"],
      ["events of a recording", bytes(MAX_REPLAY_BYTES), "", "continued in the next recording"],
      ["recordings of all shards", number(MAX_REPLAYS), "", "the oldest are deleted"],
      ["buffered bytes for a slow client", bytes(SHARD_BACKLOG_BYTES), "", "steps are skipped"],
      ["time that a client may stay that slow", seconds(SHARD_STALL_MS), "", "closed with 1013"],
      ["age of a join token", seconds(JOIN_TOKEN_MS), "", "closed with 4402"],
      ["age of a reconnect token", seconds(RECONNECT_TOKEN_MS), "", "closed with 4402"],
      ["tickets waiting in a queue", number(MAX_MATCH_TICKETS), "", "`SUBSCRIBE_FAILED`"],
      ["requests waiting for a ticket", number(MAX_TICKET_WAITS), "", "answered without waiting"],
    ],
  ],
  [
    "Sockets and event streams",
    [
      configured("connections per IP address", "PYLON_MAX_CONNECTIONS_PER_IP", number, LIMITED),
      configured("a WebSocket frame", "PYLON_WS_MAX_FRAME", bytes, "closed with 1009 or dropped"),
      configured(
        "buffered bytes for a slow reader",
        "PYLON_SEND_BUFFER_BYTES",
        bytes,
        "closed with 1013; the client resumes",
      ),
      [
        "frames per socket per second, of any content",
        number(SOCKET_RATE.frames),
        "",
        "closed with 1008",
      ],
      ["bytes per socket per second", bytes(SOCKET_RATE.bytes), "", "closed with 1008"],
      [
        "relayed messages per second",
        number(SOCKET_RATE.relayed),
        "",
        "the rest are dropped; in version 2 `RATE_LIMITED`",
      ],
      ...Object.entries(CLIENT_MESSAGES).map(([type, limit]): Row => [
        `a \`${type}\` message`,
        bytes(limit),
        "",
        "ignored; in version 2 `PAYLOAD_TOO_LARGE`",
      ]),
      [
        "characters of a topic",
        number(MAX_TOPIC_LENGTH),
        "",
        "ignored; in version 2 `INVALID_DATA`",
      ],
      [
        "subscriptions per connection, including live functions",
        number(MAX_SUBSCRIPTIONS),
        "",
        "`SUBSCRIPTION_LIMIT_REACHED`",
      ],
      ["rows of a subscription", number(MAX_SUBSCRIPTION_ROWS), "", "`RESULT_TOO_LARGE`"],
      ["`limit` of a subscription", number(MAX_PAGE_SIZE), "", "`INVALID_QUERY`"],
      [
        "conditions in `where` of a " + "subscription",
        number(MAX_SUBSCRIPTION_TERMS),
        "",
        "`INVALID_QUERY`",
      ],
      ["levels of `include` in a subscription", number(MAX_INCLUDE_DEPTH), "", "`INVALID_QUERY`"],
      [
        "included relations of a subscription, at all " + "levels",
        number(MAX_INCLUDES),
        "",
        "`INVALID_QUERY`",
      ],
      ["rows of one included relation", number(MAX_GRAPH_ROWS), "", "`RESULT_TOO_LARGE`"],
      ["a `subscribe` message", bytes(MAX_SUBSCRIBE_BYTES), "", "`PAYLOAD_TOO_LARGE`"],
      [
        "characters of a `push` message",
        number(MAX_SOCKET_PUSH_LENGTH),
        "",
        "`PAYLOAD_TOO_LARGE`; send it over HTTP",
      ],
      ["pushes in progress per socket", "1", "", "`RATE_LIMITED`"],
      [
        "messages per request of a live connection without a socket",
        number(MAX_LIVE_REQUEST_MESSAGES),
        "",
        "`INVALID_DATA`",
      ],
      [
        "size of such a request from the client library, unless one message is larger",
        bytes(MAX_LIVE_REQUEST_BYTES),
        "",
        "split into several requests",
      ],
      [
        "seconds that a poll of such a connection " + "waits",
        number(LIVE_POLL_MS / 1000),
        "",
        "returns without messages",
      ],
      [
        "seconds without a poll of such a connection",
        number(LIVE_POLL_LEASE_MS / 1000),
        "",
        "the connection ends: `NOT_FOUND`",
      ],
      ["the result of a live function", bytes(MAX_LIVE_RESULT_BYTES), "", "`RESULT_TOO_LARGE`"],
      [
        "different reads in one run of a live function",
        number(MAX_LIVE_READS),
        "",
        "`SUBSCRIPTION_LIMIT_REACHED`",
      ],
      [
        "runs of a live function per second",
        number(LIVE_RUNS.perSecond),
        "",
        "changes are combined into the next run",
      ],
      ["live functions running concurrently", number(LIVE_RUNS.atOnce), "", "the rest wait"],
    ],
  ],
  [
    "Rooms",
    [
      ["rooms with members", number(MAX_ROOMS), "", ROOMS],
      ["rooms per user", number(MAX_ROOMS_OF_USER), "", ROOMS],
      ["rooms of all guests of an IP address, per replica", number(MAX_ROOMS_OF_GUESTS), "", ROOMS],
      [
        "users whose going offline is reported to a connection",
        number(MAX_ACQUAINTANCES),
        "",
        "the most recently heard users",
      ],
      ["characters of a room's name", number(MAX_ROOM_NAME_LENGTH), "", "400 `INVALID_DATA`"],
      ["`data`, as JSON", bytes(MAX_ROOM_DATA_BYTES), "", TOO_LARGE],
    ],
  ],
  [
    "Files",
    [
      configured("a file", "PYLON_FILES_MAX_BYTES", bytes, TOO_LARGE),
      configured(
        "hours that unfinished uploads and files without a row are kept",
        "PYLON_FILES_ORPHAN_HOURS",
        number,
        "deleted",
      ),
      ["files of a guest that no row refers to", number(MAX_LOOSE_FILES_OF_GUEST), "", QUOTA],
      ["unfinished resumable uploads per user", number(MAX_OPEN_UPLOADS), "", QUOTA],
      configured(
        "total size of a guest's files that no row refers to",
        "PYLON_FILES_GUEST_BYTES",
        bytes,
        QUOTA,
      ),
      [
        "uploads of all guests of an IP address per day, per replica",
        `${GUESTS_OF_ADDRESS} times as much`,
        "",
        QUOTA,
      ],
    ],
  ],
  [
    "Functions",
    [
      configured(
        "duration of a function, in seconds",
        "PYLON_FN_CALL_TIMEOUT",
        (ms) => number(ms),
        "504 `FN_TIMEOUT`",
      ),
      configured(
        "memory of a process for isolated functions, in MiB",
        "PYLON_FUNCTION_MEMORY_MB",
        (mib) => number(mib),
        "500 `HANDLER_CRASH`",
      ),
      configured(
        "processes for isolated functions, one call at a time in each",
        "PYLON_FUNCTION_PROCESSES",
        (count) => number(count),
        "the call waits",
      ),
      ["waiting isolated calls", number(MAX_WAITING_ISOLATED_CALLS), "", OVERLOADED],
      ["calls whose traces are kept", number(MAX_TRACES), "", "older traces are dropped"],
      [
        "operations and `console` lines in a trace",
        `${MAX_TRACE_OPS} and ${MAX_TRACE_LINES}`,
        "",
        "the rest are only counted",
      ],
      ["nesting of a function's result", `${MAX_RESULT_DEPTH} levels`, "", "500 `HANDLER_ERROR`"],
    ],
  ],
];

const INTRO = `# Limits

The limits of a server: each with its default, the variable that changes it, if there is one, and \
what happens when it is exceeded. See
[configuration](configuration.md) for the variables and [errors](errors.md) for the codes.

Limits per caller count signed-in callers by user, and guests and anonymous callers by IP \
address; an IPv6 /64 network counts as one address. Behind proxies, set
\`PYLON_TRUST_PROXY_HOPS\` so that the address is the client's.
`;

const OUTRO = `
This page is generated by \`scripts/limits-doc.ts\`.
`;

/** The text of docs/limits.md. */
export function limitsDoc(routes: readonly RouteSummary[]): string {
  const sections = SECTIONS.map(
    ([title, rows]) =>
      `\n## ${title}\n\n| Limit | Default | Variable | When exceeded |\n| --- | --- | --- | --- ` +
      `|\n` +
      rows.map((row) => `| ${row.join(" | ")} |\n`).join(""),
  );
  const bodies =
    `\n## Request bodies\n\n| Limit | Routes |\n| --- | --- ` + `|\n${bodyRows(routes).join("")}`;
  return INTRO + sections.join("") + bodies + OUTRO;
}

function bodyRows(routes: readonly RouteSummary[]): string[] {
  const names = (Object.keys(BODY_LIMITS) as BodyLimit[]).filter((name) => name !== "none");
  return names.map((name) => {
    const limit = BODY_LIMITS[name];
    const listed = routes
      .filter(({ body }) => body === name)
      .map(({ method, path }) => `\`${method} ${path}\``)
      .toSorted();
    const shown =
      limit === Infinity ? "streamed: the limits for files and rows apply" : bytes(limit);
    return `| ${shown} | ${listed.join(", ")} |\n`;
  });
}

/** The routes of a server with all features enabled. */
export async function routesOfServer(): Promise<readonly RouteSummary[]> {
  const manifest = buildManifest({
    name: "limits",
    version: "1.0.0",
    entities: [entity("Note", { text: field.string() })],
    policies: [],
  });
  const server = createServer({
    app: {
      dir: ".",
      manifest,
      manifestModule: manifest,
      workflows: new Map(),
      shards: new Map(),
      functions: new Map(),
      web: null,
      diagnostics: [],
    },
    config: loadConfig({
      PYLON_PORT: "0",
      PYLON_HOST: "127.0.0.1",
      PYLON_DEV_MODE: "1",
      PYLON_IN_MEMORY: "1",
      PYLON_LOG_LEVEL: "error",
    }),
  });
  await server.start();
  try {
    return server.routes;
  } finally {
    await server.stop();
  }
}

if (import.meta.main)
  await Bun.write(new URL("../docs/limits.md", import.meta.url), limitsDoc(await routesOfServer()));
