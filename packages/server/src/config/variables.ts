import {
  DEFAULT_BYTES_IN_FLIGHT,
  DEFAULT_GUEST_FILE_BYTES,
  DEFAULT_ROW_BYTES,
} from "@pylonsync/protocol";
import type { LogLevel } from "../observe/log.ts";
import { SAMPLERS, type SamplerName } from "../observe/sampler.ts";

/** One environment variable: the table below is both the parser and docs/configuration.md. */
export interface Variable<T> {
  /** What it holds, for messages and the docs. */
  readonly wants: string;
  readonly doc: string;
  /** When it is not set. */
  readonly fallback: T;
  /** When it is not set in dev mode, where that differs. */
  readonly devFallback?: T;
  /** Its value is never shown. */
  readonly secret?: boolean;
  /** @throws anything when the text is not what it wants */
  readonly parse: (text: string) => T;
}

function variable<T>(definition: Variable<T>): Variable<T> {
  return definition;
}

const text = (value: string): string => value;

function whole(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < min || number > max) throw new RangeError(value);
    return number;
  };
}

function flag(value: string): boolean {
  if (/^(1|true)$/i.test(value)) return true;
  if (/^(0|false)$/i.test(value)) return false;
  throw new RangeError(value);
}

function oneOf<const T extends string>(...known: readonly T[]): (value: string) => T {
  return (value) => {
    const found = known.find((candidate) => candidate === value.toLowerCase());
    if (found === undefined) throw new RangeError(value);
    return found;
  };
}

/** Exact origins: scheme, host and port, nothing behind. */
function origins(value: string): string[] {
  return value.split(",").map((entry) => {
    const origin = entry.trim().replace(/\/$/, "");
    if (origin !== "*" && new URL(origin).origin !== origin) throw new RangeError(origin);
    return origin;
  });
}

function exactOrigins(value: string): string[] {
  if (value.includes("*")) throw new RangeError(value);
  return origins(value);
}

function origin(value: string): string {
  const url = new URL(value);
  if (
    !/^https?:$/.test(url.protocol) ||
    url.pathname !== "/" ||
    url.search !== "" ||
    url.hash !== "" ||
    url.username !== ""
  )
    throw new RangeError(value);
  return url.origin;
}

/** A name that RFC 6265 allows. */
function cookieName(value: string): string {
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/.test(value)) throw new RangeError(value);
  return value;
}

function domain(value: string): string {
  if (!/^\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(value)) throw new RangeError(value);
  return value;
}

function hosts(value: string): string[] {
  return value.split(",").map((entry) => domain(entry.trim()));
}

/** Only the form is looked at here; the store says what is wrong with the rest. */
function postgresUrl(value: string): string {
  const url = new URL(value);
  if (!/^postgres(ql)?:$/.test(url.protocol) || url.pathname.length < 2)
    throw new RangeError("no Postgres URL");
  return value;
}

/** As the client takes it; the password may be percent-encoded. */
function redisUrl(value: string): string {
  const { protocol, hostname, username, password, pathname } = new URL(value);
  if (!/^rediss?:$/.test(protocol) || hostname === "" || !/^\/?\d*$/.test(pathname))
    throw new RangeError("no redis URL");
  decodeURIComponent(username);
  decodeURIComponent(password);
  return value;
}

function namespace(value: string): string {
  if (!/^[A-Za-z0-9:._-]{1,64}$/.test(value)) throw new RangeError(value);
  return value;
}

function httpUrl(value: string): string {
  if (!/^https?:$/.test(new URL(value).protocol)) throw new RangeError(value);
  return value;
}

function smtpUrl(value: string): string {
  const { protocol, hostname, username, password } = new URL(value);
  if (!/^smtps?:$/.test(protocol) || hostname === "") throw new RangeError("no SMTP URL");
  decodeURIComponent(username);
  decodeURIComponent(password);
  return value;
}

function sender(value: string): string {
  if (!/^[^\r\n<>]*<[^\s<>@]+@[^\s<>@]+>$|^[^\s<>@]+@[^\s<>@]+$/.test(value))
    throw new RangeError(value);
  return value;
}

/** `name=value,name=value`, values percent-encoded, as OpenTelemetry writes lists. */
function pairs(value: string): Record<string, string> {
  const entries = value.split(",").filter((entry) => entry.trim() !== "");
  return Object.fromEntries(
    entries.map((entry) => {
      const [name = "", ...rest] = entry.split("=");
      if (name.trim() === "" || rest.length === 0) throw new RangeError("no pair");
      return [name.trim(), decodeURIComponent(rest.join("=").trim())];
    }),
  );
}

/** Names and values that HTTP can carry. */
function headers(value: string): Record<string, string> {
  const found = pairs(value);
  void new Headers(found);
  return found;
}

function amount(value: string): number {
  const number = Number(value);
  if (value.trim() === "" || !(number >= 0 && number < Infinity)) throw new RangeError(value);
  return number;
}

const COUNT = whole(0, Number.MAX_SAFE_INTEGER);
const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

export const VARIABLES = {
  PYLON_DEV_MODE: variable({
    wants: "1 or 0",
    doc: "Development mode: it listens on this machine alone, pages of this machine may call at any port, limits are generous, entities without a policy are open. `pylon dev` sets it.",
    fallback: false,
    parse: flag,
  }),
  PYLON_DEV_HOSTS: variable<string[]>({
    wants: "hosts such as dev.example.com, or .example.com for all below it, separated by commas",
    doc: "Hosts that dev mode answers at, beside localhost, addresses of this machine and of the local network, and the host of PYLON_PUBLIC_URL. Others are refused with `HOST_REJECTED`: dev mode is open to everyone who reaches it, and a web page can have a name of its own lead here.",
    fallback: [],
    parse: hosts,
  }),
  PYLON_HOST: variable({
    wants: "an address",
    doc: "The address to listen on, at every port. Dev mode is open to everyone who reaches it; in a container it needs `0.0.0.0`.",
    fallback: "0.0.0.0",
    devFallback: "127.0.0.1",
    parse: text,
  }),
  PYLON_PORT: variable({
    wants: "a port from 0 to 65532",
    doc: "The port. Everything is on it; 0 takes a free one.",
    fallback: 4321,
    parse: whole(0, 65_532),
  }),
  PYLON_SINGLE_PORT: variable({
    wants: "1 or 0",
    doc: "Leaves out the ports +1 (WebSocket), +2 (event stream) and +3 (shards), which older clients use.",
    fallback: false,
    parse: flag,
  }),
  DATABASE_URL: variable<string | undefined>({
    wants: "postgres://user:password@host:5432/database",
    doc: "The Postgres database; takes the place of SQLite. `?sslmode=` as in libpq: `disable`, `prefer` (default), `require`, `verify-ca`, `verify-full`.",
    fallback: undefined,
    secret: true,
    parse: postgresUrl,
  }),
  PYLON_DATABASE_CA: variable<string | undefined>({
    wants: "a PEM file, or its text",
    doc: "The certificate that signed the database's. With it the database's certificate is checked (`verify-full`, where sslmode does not say otherwise). That of a database in Amazon RDS or Aurora is checked without it.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_DATABASE_POOL: variable({
    wants: "a whole number from 2 to 1000",
    doc: "Connections to Postgres that one server opens at most for rows; four more are for notifications, the change log, `/readyz` and maintenance, and without `REDIS_URL` up to five for rooms. While statements go unanswered for seconds, two more look whether the database works on them. All servers together must stay below the database's `max_connections`.",
    fallback: 10,
    parse: whole(2, 1000),
  }),
  PYLON_DB_PATH: variable({
    wants: "a file",
    doc: "The SQLite database. `pylon start` and `pylon dev` have their own, `pylon.db` and `.pylon/dev.db` in the app's folder; see [where an app's data is](cli.md#where-an-apps-data-is).",
    fallback: "pylon.db",
    parse: text,
  }),
  PYLON_IN_MEMORY: variable({
    wants: "1 or 0",
    doc: "Stores in a temporary file that is deleted at the end: for tests.",
    fallback: false,
    parse: flag,
  }),
  PYLON_ADMIN_TOKEN: variable<string | undefined>({
    wants: "a token of at least 16 characters",
    doc: "The bearer of this token is the admin. Without it there is none.",
    fallback: undefined,
    secret: true,
    parse: text,
  }),
  PYLON_CORS_ORIGIN: variable<string[] | undefined>({
    wants: "origins such as https://app.example.com, separated by commas",
    doc: "Web pages of other origins that may call the API and open sockets. The server's own origin always may; in dev mode also pages of this machine at any port, such as a front-end dev server's. `*` only in dev mode.",
    fallback: undefined,
    parse: origins,
  }),
  PYLON_PUBLIC_URL: variable<string | undefined>({
    wants: "an origin such as https://api.example.com",
    doc: "Where browsers find this server: links in mails, OAuth callbacks and passkeys need it. Without it the address that a request came to.",
    fallback: undefined,
    parse: origin,
  }),
  PYLON_TRUSTED_ORIGINS: variable<string[]>({
    wants: "origins such as https://app.example.com, separated by commas",
    doc: "Pages that may send cookies, and may be redirected to after a sign-in, beside those of PYLON_CORS_ORIGIN and the app's `auth.trustedOrigins`.",
    fallback: [],
    parse: exactOrigins,
  }),
  PYLON_CSRF_ORIGINS: variable<string[]>({
    wants: "origins such as https://app.example.com, separated by commas",
    doc: "Further pages that may write with a cookie.",
    fallback: [],
    parse: exactOrigins,
  }),
  PYLON_COOKIE_NAME: variable<string | undefined>({
    wants: "a cookie's name",
    doc: "The session cookie; by default the app's name and `_session`.",
    fallback: undefined,
    parse: cookieName,
  }),
  PYLON_COOKIE_DOMAIN: variable<string | undefined>({
    wants: "a domain",
    doc: "The domain whose hosts share the session cookie; by default this host only.",
    fallback: undefined,
    parse: domain,
  }),
  PYLON_COOKIE_SAME_SITE: variable<"lax" | "strict" | "none">({
    wants: "lax, strict or none",
    doc: "`none` lets pages of other sites that are trusted use the cookie.",
    fallback: "lax",
    parse: oneOf("lax", "strict", "none"),
  }),
  PYLON_COOKIE_SECURE: variable({
    wants: "1 or 0",
    doc: "Whether the cookie is sent over https only.",
    fallback: true,
    devFallback: false,
    parse: flag,
  }),
  PYLON_HSTS_MAX_AGE: variable({
    wants: "seconds from 0 to 63072000",
    doc: "How long browsers are to reach this host over https only (`Strict-Transport-Security`), in seconds; 0 does not say so. It is said where PYLON_PUBLIC_URL is https.",
    fallback: 31_536_000,
    devFallback: 0,
    parse: whole(0, 63_072_000),
  }),
  PYLON_SSO_ENCRYPTION_KEY: variable<string | undefined>({
    wants: "a secret of at least 32 characters",
    doc: "Encrypts what is kept of others' secrets: tokens of OAuth providers, seeds of authenticator apps. Dev mode does without.",
    fallback: undefined,
    secret: true,
    parse: text,
  }),
  PYLON_JWT_SECRET: variable<string | undefined>({
    wants: "a secret of at least 32 characters",
    doc: "Signs the short-lived tokens of `/api/auth/jwt`, which other services check with it.",
    fallback: undefined,
    secret: true,
    parse: text,
  }),
  PYLON_EMAIL_PROVIDER: variable<"smtp" | "resend" | "sendgrid" | "ses" | "webhook" | undefined>({
    wants: "smtp, resend, sendgrid, ses or webhook",
    doc: "What sends mail, see [mail](mail.md). With PYLON_SMTP_URL alone it is `smtp`. Without one dev mode shows mails at `/studio/mail`.",
    fallback: undefined,
    parse: oneOf("smtp", "resend", "sendgrid", "ses", "webhook"),
  }),
  PYLON_EMAIL_FROM: variable<string | undefined>({
    wants: "an address such as Shop <no-reply@example.com>",
    doc: "Whom mails come from.",
    fallback: undefined,
    parse: sender,
  }),
  PYLON_EMAIL_API_KEY: variable<string | undefined>({
    wants: "the provider's key",
    doc: "The key of `resend` and `sendgrid`; for `webhook` it is sent as a bearer token.",
    fallback: undefined,
    secret: true,
    parse: text,
  }),
  PYLON_EMAIL_HTTP_URL: variable<string | undefined>({
    wants: "a URL",
    doc: "Where `webhook` posts `{from, to, subject, text, html}`; for the others an endpoint in place of their own.",
    fallback: undefined,
    parse: httpUrl,
  }),
  PYLON_SMTP_URL: variable<string | undefined>({
    wants: "smtp://user:password@host:587 or smtps://",
    doc: "The SMTP server. `?requireTLS=true` sends nothing without TLS.",
    fallback: undefined,
    secret: true,
    parse: smtpUrl,
  }),
  PYLON_RATE_LIMIT_MAX: variable({
    wants: "a whole number",
    doc: "Requests of one address in a window, without those for the app's pages and their files; 0 for no limit.",
    fallback: 100,
    devFallback: 100_000,
    parse: COUNT,
  }),
  PYLON_RATE_LIMIT_WINDOW: variable({
    wants: "seconds from 1 to 86400",
    doc: "The window of PYLON_RATE_LIMIT_MAX, in seconds.",
    fallback: 60,
    parse: whole(1, 86_400),
  }),
  PYLON_FN_RATE_LIMIT_MAX: variable({
    wants: "a whole number",
    doc: "Calls of one function by one caller in a window; 0 for no limit.",
    fallback: 30,
    devFallback: 100_000,
    parse: COUNT,
  }),
  PYLON_FN_RATE_LIMIT_WINDOW: variable({
    wants: "seconds from 1 to 86400",
    doc: "The window of PYLON_FN_RATE_LIMIT_MAX, in seconds.",
    fallback: 60,
    parse: whole(1, 86_400),
  }),
  PYLON_TRUST_PROXY_HOPS: variable({
    wants: "a whole number from 0 to 10",
    doc: "How many proxies of yours stand in front: the client's address is that many entries from the right in X-Forwarded-For.",
    fallback: 0,
    parse: whole(0, 10),
  }),
  PYLON_DRAIN_SECS: variable({
    wants: "seconds from 0 to 3600",
    doc: "How long a stopping server lets requests finish, in seconds.",
    fallback: 10,
    parse: whole(0, 3600),
  }),
  PYLON_DRAIN_DELAY_SECS: variable({
    wants: "seconds from 0 to 3600",
    doc: "How long a server that is sent `SIGTERM` serves on before it stops, while `/readyz` says that it goes: as long as a load balancer takes to notice. With PYLON_DRAIN_SECS it must stay below what the platform waits before it kills (ECS: 30 s). See [health](deploy/health.md).",
    fallback: 2,
    devFallback: 0,
    parse: whole(0, 3600),
  }),
  PYLON_LOG_FORMAT: variable<"json" | "text">({
    wants: "json or text",
    doc: "The log on stderr: one JSON object a line, or text.",
    fallback: "json",
    devFallback: "text",
    parse: oneOf("json", "text"),
  }),
  PYLON_LOG_LEVEL: variable<LogLevel>({
    wants: "debug, info, warn or error",
    doc: "The least severe line to log. `debug` logs every request.",
    fallback: "info",
    parse: oneOf("debug", "info", "warn", "error"),
  }),
  PYLON_ACCESS_LOG: variable({
    wants: "1 or 0",
    doc: "Logs every request: its route, status, time and the client's address.",
    fallback: false,
    parse: flag,
  }),
  PYLON_SLOW_QUERY_MS: variable({
    wants: "milliseconds from 0 to 3600000",
    doc: "Statements that take as long as this, in milliseconds, are logged, without what they were asked with; 0 logs none. See [observability](deploy/observability.md).",
    fallback: 500,
    parse: whole(0, 3_600_000),
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: variable<string | undefined>({
    wants: "a URL such as http://localhost:4318",
    doc: "Where traces, metrics and logs are sent by OTLP, see [observability](deploy/observability.md). Without it nothing is.",
    fallback: undefined,
    parse: httpUrl,
  }),
  OTEL_EXPORTER_OTLP_HEADERS: variable<Record<string, string>>({
    wants: "name=value,name=value with values percent-encoded",
    doc: "What is sent with it, such as a key.",
    fallback: {},
    secret: true,
    parse: headers,
  }),
  OTEL_EXPORTER_OTLP_PROTOCOL: variable<"http/protobuf" | "http/json">({
    wants: "http/protobuf or http/json; grpc is not spoken, and collectors take HTTP on port 4318",
    doc: "How it is encoded.",
    fallback: "http/protobuf",
    parse: oneOf("http/protobuf", "http/json"),
  }),
  OTEL_EXPORTER_OTLP_TIMEOUT: variable({
    wants: "milliseconds from 1 to 600000",
    doc: "How long the receiver may take for a batch, in milliseconds.",
    fallback: 10_000,
    parse: whole(1, 600_000),
  }),
  OTEL_SERVICE_NAME: variable<string | undefined>({
    wants: "a name",
    doc: "What the server calls itself there; by default the app's name.",
    fallback: undefined,
    parse: text,
  }),
  OTEL_RESOURCE_ATTRIBUTES: variable<Record<string, string>>({
    wants: "name=value,name=value with values percent-encoded",
    doc: "More attributes of the resource, such as `deployment.environment.name=production`.",
    fallback: {},
    parse: pairs,
  }),
  OTEL_TRACES_EXPORTER: variable<"otlp" | "none">({
    wants: "otlp or none",
    doc: "`none` sends no traces.",
    fallback: "otlp",
    parse: oneOf("otlp", "none"),
  }),
  OTEL_METRICS_EXPORTER: variable<"otlp" | "none">({
    wants: "otlp or none",
    doc: "`none` sends no metrics; `/metrics` is there either way.",
    fallback: "otlp",
    parse: oneOf("otlp", "none"),
  }),
  OTEL_LOGS_EXPORTER: variable<"otlp" | "none">({
    wants: "otlp or none",
    doc: "`none` sends no logs; stderr has them either way.",
    fallback: "otlp",
    parse: oneOf("otlp", "none"),
  }),
  OTEL_TRACES_SAMPLER: variable<SamplerName>({
    wants: SAMPLERS.join(", "),
    doc: "Which traces are recorded. The default takes 50 in a second, and none that its caller does not record.",
    fallback: "parentbased_ratelimited",
    parse: oneOf(...SAMPLERS),
  }),
  OTEL_TRACES_SAMPLER_ARG: variable<number | undefined>({
    wants: "a number from 0, for samplers by ratio up to 1",
    doc: "Traces in a second for `parentbased_ratelimited`, by default 50; the share of traces for samplers by ratio, by default 1.",
    fallback: undefined,
    parse: amount,
  }),
  OTEL_BSP_SCHEDULE_DELAY: variable({
    wants: "milliseconds from 1 to 600000",
    doc: "How long a finished span waits for others, in milliseconds.",
    fallback: 5_000,
    parse: whole(1, 600_000),
  }),
  OTEL_BLRP_SCHEDULE_DELAY: variable({
    wants: "milliseconds from 1 to 600000",
    doc: "How long a line of the log waits for others, in milliseconds.",
    fallback: 1_000,
    parse: whole(1, 600_000),
  }),
  OTEL_METRIC_EXPORT_INTERVAL: variable({
    wants: "milliseconds from 100 to 3600000",
    doc: "How often metrics are sent, in milliseconds.",
    fallback: 60_000,
    parse: whole(100, 3_600_000),
  }),
  OTEL_SDK_DISABLED: variable({
    wants: "true or false",
    doc: "Sends nothing at all.",
    fallback: false,
    parse: flag,
  }),
  PYLON_WS_MAX_FRAME: variable({
    wants: "bytes from 1024",
    doc: "Largest WebSocket message from a client, in bytes. As much may be in memory for each connection, before it is known what it is.",
    fallback: MIB,
    parse: whole(1024, 256 * MIB),
  }),
  PYLON_MAX_ROW_BYTES: variable({
    wants: "bytes from 1024 to 8388608",
    doc: "Largest row, in bytes of its values. Rows that are larger already stay, and can be made smaller.",
    fallback: DEFAULT_ROW_BYTES,
    parse: whole(1024, 8 * MIB),
  }),
  PYLON_MAX_BYTES_IN_FLIGHT: variable({
    wants: "bytes from 33554432",
    doc: "Bytes of request bodies that are being received, and as many of answers that wait for slow readers. One caller has a quarter of it. See [limits](limits.md).",
    fallback: DEFAULT_BYTES_IN_FLIGHT,
    parse: whole(32 * MIB, 64 * GIB),
  }),
  PYLON_CHANGE_LOG_MAX: variable({
    wants: "a whole number from 1",
    doc: "Changes that the log keeps. A client that was away for longer takes a new snapshot.",
    fallback: 100_000,
    parse: whole(1, Number.MAX_SAFE_INTEGER),
  }),
  PYLON_QUERY_TIMEOUT: variable({
    wants: "seconds from 1 to 3600",
    doc: "How long one read on behalf of a caller may take, in seconds: a list, a query, an aggregate, a pull, an export. Then it is ended and answered `QUERY_TIMEOUT`. A function's own reads may take as long as the function. See [slow reads](queries.md#keep-reads-fast).",
    fallback: 5,
    parse: whole(1, 3600),
  }),
  PYLON_FN_CALL_TIMEOUT: variable({
    wants: "seconds from 1 to 3600",
    doc: "How long a function may take, in seconds.",
    fallback: 30,
    parse: whole(1, 3600),
  }),
  PYLON_FUNCTIONS_DIR: variable({
    wants: "a folder",
    doc: "Where the functions are, from the app's folder.",
    fallback: "functions",
    parse: text,
  }),
  PYLON_MAX_CONNECTIONS_PER_IP: variable({
    wants: "a whole number from 1",
    doc: "Sockets and event streams that one address may have open.",
    fallback: 64,
    devFallback: 100_000,
    parse: whole(1, Number.MAX_SAFE_INTEGER),
  }),
  PYLON_PING_SECS: variable({
    wants: "seconds from 4 to 120",
    doc: "How long a socket or an event stream may be silent before the server sends a ping: less than any proxy on the way waits. Sockets count in steps of 4; an event stream is never silent for more than 10.",
    fallback: 24,
    parse: whole(4, 120),
  }),
  PYLON_SEND_BUFFER_BYTES: variable({
    wants: "bytes from 4096",
    doc: "What may wait in memory for one slow reader, in bytes; beyond it the reader is cut off and resumes.",
    fallback: MIB,
    parse: whole(4096, 64 * MIB),
  }),
  REDIS_URL: variable<string | undefined>({
    wants: "redis://user:password@host:6379/0, or rediss:// for TLS",
    doc: "What several replicas share beside the database: rate limits, the cache, and rooms, which it takes off Postgres. Without it limits and cache count for each on its own. A password may be percent-encoded.",
    fallback: undefined,
    secret: true,
    parse: redisUrl,
  }),
  PYLON_REDIS_NAMESPACE: variable<string | undefined>({
    wants: "1 to 64 characters of A-Z a-z 0-9 : . _ -",
    doc: "What all keys in Redis begin with. Without it `pylon:` and the app's name: set it when two stages of one app share a Redis.",
    fallback: undefined,
    parse: namespace,
  }),
  PYLON_FILES_PROVIDER: variable<"local" | "s3">({
    wants: "local or s3",
    doc: "Where uploaded files are kept: in a folder of this machine, or in an S3 bucket. The plugin `file_storage` may name another, see [files](files.md).",
    fallback: "local",
    parse: oneOf("local", "s3"),
  }),
  PYLON_FILES_DIR: variable<string | undefined>({
    wants: "a folder",
    doc: "Where `local` keeps files; by default `uploads` in the app's folder, for `pylon dev` `.pylon/uploads`.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_FILES_MAX_BYTES: variable({
    wants: "bytes from 1",
    doc: "Largest file, in bytes.",
    fallback: 5 * GIB,
    parse: whole(1, 5 * 1024 * GIB),
  }),
  PYLON_FILES_ORPHAN_HOURS: variable({
    wants: "hours from 1 to 8760",
    doc: "After how long an upload that was not finished, and a file that its row let go, is deleted, in hours.",
    fallback: 24,
    parse: whole(1, 8760),
  }),
  PYLON_FILES_GUEST_BYTES: variable({
    wants: "bytes from 1",
    doc: "Bytes that a guest may have in files that no row holds. All guests of one address together upload ten times as much in a day. Such files are deleted after PYLON_FILES_ORPHAN_HOURS, unless the guest signs in.",
    fallback: DEFAULT_GUEST_FILE_BYTES,
    parse: whole(1, 5 * 1024 * GIB),
  }),
  PYLON_BACKUP_DIR: variable<string | undefined>({
    wants: "a folder",
    doc: "Where `pylon start` puts backups of SQLite and of files in a folder, each in a new folder that is named by the time, see [operations](deploy/operations.md#back-up-and-restore). Without it none are made.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_BACKUP_HOURS: variable({
    wants: "hours from 1 to 8760",
    doc: "How long after a backup the next one is made, in hours.",
    fallback: 24,
    parse: whole(1, 8760),
  }),
  PYLON_BACKUP_KEEP: variable({
    wants: "a whole number from 1 to 10000",
    doc: "How many of the newest backups are kept there. Older ones go once a new one is whole.",
    fallback: 7,
    parse: whole(1, 10_000),
  }),
  PYLON_S3_BUCKET: variable<string | undefined>({
    wants: "a bucket's name",
    doc: "The bucket for files.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_S3_REGION: variable<string | undefined>({
    wants: "a region",
    doc: "The bucket's region; by default AWS_REGION, and without that `us-east-1`.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_S3_ENDPOINT: variable<string | undefined>({
    wants: "a URL such as http://minio:9000",
    doc: "An S3 of another maker. Buckets are then addressed by path.",
    fallback: undefined,
    parse: httpUrl,
  }),
  PYLON_S3_ACCESS_KEY: variable<string | undefined>({
    wants: "an access key id",
    doc: "With PYLON_S3_SECRET_KEY. Without the pair the credentials are looked for as the AWS SDK does it, an ECS task role among them.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_S3_SECRET_KEY: variable<string | undefined>({
    wants: "a secret access key",
    doc: "Belongs to PYLON_S3_ACCESS_KEY.",
    fallback: undefined,
    secret: true,
    parse: text,
  }),
} as const;

export type VariableName = keyof typeof VARIABLES;

/** The variable's value, or one sentence about what is wrong. */
export function parseVariable<T>(
  name: string,
  definition: Variable<T>,
  value: string | undefined,
  dev: boolean,
): { readonly value: T } | { readonly problem: string } {
  if (value === undefined)
    return {
      value:
        dev && definition.devFallback !== undefined ? definition.devFallback : definition.fallback,
    };
  try {
    return { value: definition.parse(value) };
  } catch {
    return {
      problem: `${name} is ${definition.secret === true ? "not usable" : JSON.stringify(value)}: it wants ${definition.wants}.`,
    };
  }
}
