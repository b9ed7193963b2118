// Writes docs/limits.md from the constants and the routes that the server goes by: `bun
// scripts/limits-doc.ts`.
import {
  BODY_LIMITS,
  CALLER_SHARE,
  CLIENT_MESSAGES,
  DEFAULT_PAGE_SIZE,
  GUESTS_OF_ADDRESS,
  LIVE_RUNS,
  MAX_ACQUAINTANCES,
  MAX_CURSOR_LENGTH,
  MAX_AGGREGATE_TERMS,
  MAX_GRAPH_ENTITIES,
  MAX_GRAPH_ROWS,
  MAX_GROUPS,
  MAX_WAITING_READS,
  MAX_WAITING_READS_PER_CALLER,
  MAX_IMPORT_ERRORS,
  MAX_INCLUDE_DEPTH,
  MAX_JOB_ARGS_BYTES,
  MAX_JOB_ATTEMPTS,
  MAX_JOB_DELAY_MS,
  MAX_JSON_DEPTH,
  MAX_JSON_VALUES,
  MAX_LIVE_READS,
  MAX_LIVE_RESULT_BYTES,
  MAX_LOG_PAGE_BYTES,
  MAX_LOOSE_FILES_OF_GUEST,
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
  MAX_SHARD_CONNECTIONS_OF_USER,
  MAX_SHARD_DEPTH,
  MAX_SHARD_FAILURES,
  MAX_SHARD_INPUT_BYTES,
  MAX_SHARD_QUEUE,
  MAX_SHARD_STATE_BYTES,
  MAX_SHARDS,
  MAX_SHARDS_OF_USER,
  MAX_SCHEDULED_PER_CALL,
  MAX_SUBSCRIBE_BYTES,
  MAX_SUBSCRIPTION_ROWS,
  MAX_SUBSCRIPTION_TERMS,
  MAX_SUBSCRIPTIONS,
  MAX_TOPIC_LENGTH,
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

/** A cap whose default is the variable's. */
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
      ["body", "by route, see below", "", TOO_LARGE],
      ["nesting of JSON", `${MAX_JSON_DEPTH} levels`, "", INVALID_JSON],
      ["values in JSON, nested ones included", number(MAX_JSON_VALUES), "", INVALID_JSON],
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
        "413 `TRANSACTION_TOO_LARGE`, and nothing is kept",
      ],
      [
        "rows that one transaction writes because they refer to a deleted one",
        number(MAX_CASCADE_WRITES),
        "",
        "413 `TRANSACTION_TOO_LARGE`, and nothing is kept",
      ],
      ["bytes of a job's arguments", bytes(MAX_JOB_ARGS_BYTES), "", "413 `PAYLOAD_TOO_LARGE`"],
      [
        "calls that one call schedules",
        number(MAX_SCHEDULED_PER_CALL),
        "",
        "413 `TRANSACTION_TOO_LARGE`, and nothing is kept",
      ],
      ["starts in the window of a queue's rate", number(MAX_QUEUE_RATE), "", "the app is refused"],
      [
        "steps, sleeps and waits of a workflow run",
        number(MAX_WORKFLOW_STEPS),
        "",
        "the run fails",
      ],
      [
        "bytes of a workflow's input, event, step result or result",
        bytes(MAX_WORKFLOW_VALUE_BYTES),
        "",
        "413 `PAYLOAD_TOO_LARGE`, or the step fails",
      ],
      ["bytes of all step results of a run", bytes(MAX_WORKFLOW_BYTES), "", "the run fails"],
      ["attempts at a job", number(MAX_JOB_ATTEMPTS), "", "400 `INVALID_ARGS`"],
      [
        "years that a job is scheduled ahead",
        number(MAX_JOB_DELAY_MS / (365 * 24 * 60 * 60_000)),
        "",
        "400 `INVALID_ARGS`",
      ],
      ["bytes of a push of the client", bytes(MAX_PUSH_BYTES), "", "the client sends several"],
      ["bytes of a change of the client", bytes(MAX_CHANGE_BYTES), "", "the client refuses it"],
      [
        "failures that an import describes",
        number(MAX_IMPORT_ERRORS),
        "",
        "the others are counted",
      ],
      configured("requests of an address in a window", "PYLON_RATE_LIMIT_MAX", number, LIMITED),
      configured(
        "calls of a function by a caller in a window",
        "PYLON_FN_RATE_LIMIT_MAX",
        number,
        LIMITED,
      ),
      [
        `wrong tokens of an address in ${WRONG_ADMIN_TOKENS_SECONDS} s, sent to a route of ` +
          "the admin or unlike a token of this server",
        number(MAX_WRONG_ADMIN_TOKENS),
        "",
        `${LIMITED}, to the right admin token too; it is logged`,
      ],
    ],
  ],
  [
    "Bytes on their way",
    [
      configured(
        "bodies being received, and as many bytes of answers that wait for their readers",
        "PYLON_MAX_BYTES_IN_FLIGHT",
        bytes,
        OVERLOADED,
      ),
      ["one caller's part of it", `1/${CALLER_SHARE}`, "", LIMITED],
      ["what is not counted: bodies and answers up to", bytes(UNCOUNTED_BYTES), "", ""],
      ["a body or an answer that does not move", seconds(STALL_MS), "", "the connection is closed"],
      [
        "the same when its room is needed",
        seconds(STALL_WHEN_FULL_MS),
        "",
        "the connection is closed",
      ],
    ],
  ],
  [
    "Rows and answers",
    [
      configured("a row's values", "PYLON_MAX_ROW_BYTES", bytes, TOO_LARGE),
      ["values of an enum", number(MAX_ENUM_VALUES), "", "the app is refused"],
      ["items of an array", number(MAX_ARRAY_ITEMS), "", "400 `INVALID_DATA`"],
      ["levels of a json", number(MAX_FIELD_DEPTH), "", "400 `INVALID_DATA`"],
      ["characters of a text with a pattern", number(MAX_PATTERN_TEXT), "", "400 `INVALID_DATA`"],
      [
        "bytes of a `bytes` field",
        bytes(MAX_FIELD_BYTES),
        "`maxBytes` of the field",
        "400 `INVALID_DATA`",
      ],
      [
        "rows of a page by `ctx.db.paginate` or `/api/page`, without `limit`",
        number(DEFAULT_PAGE_SIZE),
        "",
        "",
      ],
      [
        "rows of a list, page, query or pull",
        number(MAX_PAGE_SIZE),
        "",
        `${INVALID_QUERY}; a pull takes it for the most`,
      ],
      ["characters of a cursor of a page", number(MAX_CURSOR_LENGTH), "", INVALID_QUERY],
      ["a page of a list, a cursor, a pull or an export", bytes(MAX_PAGE_BYTES), "", SHORT_PAGE],
      [
        "a query, a graph query or an aggregate, which have no next page",
        bytes(MAX_RESULT_BYTES),
        "",
        RESULT,
      ],
      ["changes read from the log at a time", bytes(MAX_LOG_PAGE_BYTES), "", SHORT_PAGE],
      ["rows of a graph query, included ones too", number(MAX_GRAPH_ROWS), "", RESULT],
      ["entities of a graph query", number(MAX_GRAPH_ENTITIES), "", INVALID_QUERY],
      ["groups of an aggregate", number(MAX_GROUPS), "", RESULT],
      configured(
        "time of one read",
        "PYLON_QUERY_TIMEOUT",
        (value) => `${value} s`,
        "503 `QUERY_TIMEOUT`",
      ),
      ["reads that wait for a reader of SQLite", number(MAX_WAITING_READS), "", OVERLOADED],
      ["those of one caller", number(MAX_WAITING_READS_PER_CALLER), "", OVERLOADED],
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
      ["values of all of them", number(MAX_LISTED_VALUES), "", INVALID_QUERY],
      [
        "characters of `$like`, `$ilike`, `$startsWith` and `$endsWith`",
        number(MAX_NEEDLE_LENGTH),
        "",
        INVALID_QUERY,
      ],
      ["conditions on related rows in a filter", number(MAX_RELATED), "", INVALID_QUERY],
      ["`$like` and `$ilike` in a filter", number(MAX_SEARCHES), "", INVALID_QUERY],
    ],
  ],
  [
    "Shards",
    [
      ["shards of a server", number(MAX_SHARDS), "", "closed with 1013"],
      ["shards that a user is in", number(MAX_SHARDS_OF_USER), "", "closed with 1013"],
      [
        "connections of a user to a shard",
        number(MAX_SHARD_CONNECTIONS_OF_USER),
        "",
        "closed with 1013",
      ],
      ["bytes of an input", bytes(MAX_SHARD_INPUT_BYTES), "", "refused, `PAYLOAD_TOO_LARGE`"],
      ["inputs that wait for a step", number(MAX_SHARD_QUEUE), "", "refused, `INPUT_REJECTED`"],
      ["bytes of the state as JSON", bytes(MAX_SHARD_STATE_BYTES), "", "the shard is ended"],
      ["bytes of a view as JSON", bytes(MAX_SHARD_STATE_BYTES), "", "the view fails"],
      ["nesting of the state and of a view", `${MAX_SHARD_DEPTH} levels`, "", "it fails"],
      ["steps that fail in a row", number(MAX_SHARD_FAILURES), "", "the shard is ended"],
      ["bytes that wait for a slow client", bytes(SHARD_BACKLOG_BYTES), "", "steps are left out"],
      ["time of that", seconds(SHARD_STALL_MS), "", "closed with 1013"],
    ],
  ],
  [
    "Sockets and event streams",
    [
      configured("connections of an address", "PYLON_MAX_CONNECTIONS_PER_IP", number, LIMITED),
      configured("a frame", "PYLON_WS_MAX_FRAME", bytes, "closed with 1009 or dropped"),
      configured(
        "bytes that wait for a slow reader",
        "PYLON_SEND_BUFFER_BYTES",
        bytes,
        "closed with 1013; the client resumes",
      ),
      [
        "frames of a socket in a second, whatever is in them",
        number(SOCKET_RATE.frames),
        "",
        "closed with 1008",
      ],
      ["bytes of them", bytes(SOCKET_RATE.bytes), "", "closed with 1008"],
      [
        "messages that are relayed in a second",
        number(SOCKET_RATE.relayed),
        "",
        "the others are dropped",
      ],
      ...Object.entries(CLIENT_MESSAGES).map(([type, limit]): Row => [
        `a \`${type}\` message`,
        bytes(limit),
        "",
        "ignored",
      ]),
      ["a topic's characters", number(MAX_TOPIC_LENGTH), "", "ignored"],
      [
        "subscriptions of a connection, live functions included",
        number(MAX_SUBSCRIPTIONS),
        "",
        "`SUBSCRIPTION_LIMIT_REACHED`",
      ],
      ["rows of a subscription", number(MAX_SUBSCRIPTION_ROWS), "", "`RESULT_TOO_LARGE`"],
      ["`limit` of a subscription", number(MAX_PAGE_SIZE), "", "`INVALID_QUERY`"],
      ["conditions in its `where`", number(MAX_SUBSCRIPTION_TERMS), "", "`INVALID_QUERY`"],
      ["levels of `include` in it", number(MAX_INCLUDE_DEPTH), "", "ignored"],
      ["a `subscribe` message", bytes(MAX_SUBSCRIBE_BYTES), "", "ignored"],
      ["the result of a live function", bytes(MAX_LIVE_RESULT_BYTES), "", "`RESULT_TOO_LARGE`"],
      [
        "different reads of a run of a live function",
        number(MAX_LIVE_READS),
        "",
        "`SUBSCRIPTION_LIMIT_REACHED`",
      ],
      [
        "runs of a live function in a second",
        number(LIVE_RUNS.perSecond),
        "",
        "the next run sees what changed meanwhile",
      ],
      ["live functions that run at once", number(LIVE_RUNS.atOnce), "", "the others wait"],
    ],
  ],
  [
    "Rooms",
    [
      ["rooms with members", number(MAX_ROOMS), "", ROOMS],
      ["rooms of a user", number(MAX_ROOMS_OF_USER), "", ROOMS],
      [
        "rooms of the guests of an address, by each replica",
        number(MAX_ROOMS_OF_GUESTS),
        "",
        ROOMS,
      ],
      [
        "users of whom a connection is told that they went offline",
        number(MAX_ACQUAINTANCES),
        "",
        "those it heard last",
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
        "hours that an unfinished upload and a file without its row are kept",
        "PYLON_FILES_ORPHAN_HOURS",
        number,
        "deleted",
      ),
      ["files of a guest that no row holds", number(MAX_LOOSE_FILES_OF_GUEST), "", QUOTA],
      configured("bytes of them", "PYLON_FILES_GUEST_BYTES", bytes, QUOTA),
      [
        "what the guests of an address upload in a day, by each replica",
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
        "seconds that a function takes",
        "PYLON_FN_CALL_TIMEOUT",
        (ms) => number(ms),
        "504 `FN_TIMEOUT`",
      ),
      ["nesting of what it returns", `${MAX_RESULT_DEPTH} levels`, "", "500 `HANDLER_ERROR`"],
    ],
  ],
];

const INTRO = `# Limits

Look up how much a server takes: every cap, with its default, the variable that sets it where \
there is one, and what is answered beyond it. The variables are described in
[configuration](configuration.md), the codes in [errors](errors.md).

Callers are counted by their user, and guests and anonymous callers by their address: an IPv6 \
network of /64 is one address. Behind proxies the address is
right when \`PYLON_TRUST_PROXY_HOPS\` is.
`;

const OUTRO = `
This page is made by \`scripts/limits-doc.ts\`.
`;

/** The text of docs/limits.md. */
export function limitsDoc(routes: readonly RouteSummary[]): string {
  const sections = SECTIONS.map(
    ([title, rows]) =>
      `\n## ${title}\n\n| cap | default | variable | beyond it |\n| --- | --- | --- | --- |\n` +
      rows.map((row) => `| ${row.join(" | ")} |\n`).join(""),
  );
  const bodies = `\n## Bodies\n\n| limit | routes |\n| --- | --- |\n${bodyRows(routes).join("")}`;
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
      limit === Infinity ? "read piece by piece: the limits for files and rows hold" : bytes(limit);
    return `| ${shown} | ${listed.join(", ")} |\n`;
  });
}

/** The routes of a server with everything on. */
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
