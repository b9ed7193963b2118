import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { oauthProviders, type OAuthProviderConfig } from "./oauth-variables.ts";
import { parseVariable, VARIABLES, type Variable, type VariableName } from "./variables.ts";
import type { LogLevel } from "./log-level.ts";
import type { SamplerName } from "./samplers.ts";

/**
 * Everything about a server that is not in the app. Made from the environment; nothing else reads
 * it. See docs/configuration.md.
 */
export interface Config {
  readonly dev: boolean;
  /** Further hosts that dev mode answers at. */
  readonly devHosts: readonly string[];
  readonly host: string;
  readonly port: number;
  /**
   * Sockets on port+1, event streams on port+2 and shards on port+3 too, as older clients expect
   * them.
   */
  readonly extraPorts: boolean;
  readonly database: DatabaseConfig;
  readonly adminToken: string | null;
  /** Origins of web pages that may call, beside the server's own; `*` for any, only in dev mode. */
  readonly corsOrigins: readonly string[];
  /** Where browsers find this server; null: where a request came to. */
  readonly publicUrl: string | null;
  /** Pages that may send cookies and be redirected to, beside `corsOrigins`. */
  readonly trustedOrigins: readonly string[];
  /** Pages that may send cookies. */
  readonly csrfOrigins: readonly string[];
  readonly cookie: CookieConfig;
  /** How long browsers are to reach this host over https only, in seconds; 0: nothing is said. */
  readonly hstsMaxAge: number;
  /** What others' secrets are encrypted with; null: they are not taken outside dev mode. */
  readonly encryptionSecret: string | null;
  /** Who people may sign in with. */
  readonly oauth: readonly OAuthProviderConfig[];
  /** What JWTs are signed with; null: none are made. */
  readonly jwtSecret: string | null;
  /** Null: nothing is set. */
  readonly email: EmailConfig | null;
  readonly rateLimit: RateLimit;
  readonly fnRateLimit: RateLimit;
  readonly trustProxyHops: number;
  readonly drainSeconds: number;
  /** How long it serves on after it said that it goes. */
  readonly drainDelaySeconds: number;
  readonly logFormat: "json" | "text";
  readonly logLevel: LogLevel;
  /** Logs every request. */
  readonly accessLog: boolean;
  /** From how many milliseconds on a statement is logged; 0: none is. */
  readonly slowQueryMs: number;
  /** Null: nothing is exported. */
  readonly telemetry: TelemetryConfig | null;
  readonly maxFrameBytes: number;
  /** Most bytes of a row's values. */
  readonly maxRowBytes: number;
  /** Bytes of bodies being received, and as many of answers waiting for their readers. */
  readonly maxBytesInFlight: number;
  readonly changeLogMax: number;
  /** How long one read on behalf of a caller may run. */
  readonly queryTimeoutMs: number;
  readonly fnTimeoutMs: number;
  readonly functionsDir: string;
  readonly maxConnectionsPerAddress: number;
  /** After how many silent seconds a live connection is pinged. */
  readonly pingSeconds: number;
  readonly sendBufferBytes: number;
  /** What several replicas share beside the database. Null: there is one replica. */
  readonly redisUrl: string | null;
  /** What keys in Redis begin with; null: made of the app's name. */
  readonly redisNamespace: string | null;
  readonly files: FilesConfig;
  /** What `pylon start` copies by itself; null: nothing. */
  readonly backup: BackupConfig | null;
}

export interface RateLimit {
  /** Requests in a window; 0 switches the limit off. */
  readonly max: number;
  readonly windowSeconds: number;
}

/** Backups that are made while it serves. */
export interface BackupConfig {
  readonly dir: string;
  readonly hours: number;
  /** How many there are at most. */
  readonly keep: number;
}

/** What is sent by OTLP, and where to. */
export interface TelemetryConfig {
  /** The base of the signals' own URLs. */
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly protocol: "http/protobuf" | "http/json";
  readonly timeoutMs: number;
  /** Undefined: the app's name. */
  readonly serviceName: string | undefined;
  readonly resource: Readonly<Record<string, string>>;
  readonly traces: {
    readonly sampler: SamplerName;
    readonly argument: number | undefined;
    readonly delayMs: number;
  } | null;
  readonly metrics: { readonly intervalMs: number } | null;
  readonly logs: { readonly delayMs: number } | null;
}

export interface CookieConfig {
  /** Undefined: made of the app's name. */
  readonly name: string | undefined;
  readonly domain: string | undefined;
  readonly sameSite: "lax" | "strict" | "none";
  readonly secure: boolean;
}

/** What sends mail. */
export type EmailConfig = { readonly from: string } & (
  | { readonly provider: "smtp"; readonly smtpUrl: string }
  | { readonly provider: "ses"; readonly region: string; readonly url: string | undefined }
  | {
      readonly provider: "resend" | "sendgrid";
      readonly apiKey: string;
      readonly url: string | undefined;
    }
  | { readonly provider: "webhook"; readonly apiKey: string | null; readonly url: string }
);

/**
 * Where files go, as the environment says it; the app's plugin `file_storage` may say otherwise.
 */
export interface FilesConfig {
  readonly provider: "local" | "s3";
  readonly dir: string;
  readonly maxBytes: number;
  readonly orphanHours: number;
  readonly guestBytes: number;
  readonly s3: {
    readonly bucket: string | undefined;
    readonly region: string;
    readonly endpoint: string | undefined;
    /** Undefined: the SDK's own search, which finds an ECS task role. */
    readonly credentials:
      | { readonly accessKeyId: string; readonly secretAccessKey: string }
      | undefined;
  };
}

export type DatabaseConfig =
  | { readonly kind: "sqlite"; readonly path: string; readonly isTemporary: boolean }
  | {
      readonly kind: "postgres";
      readonly url: string;
      readonly ca: string | null;
      readonly poolMax: number;
    };

/**
 * The environment is not usable; the message names each variable, what it holds and what it should.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

type Environment = Readonly<Record<string, string | undefined>>;

const MIN_ADMIN_TOKEN = 16;
const MIN_SECRET = 32;

/**
 * Reads the environment.
 *
 * @param overrides take the place of variables that are not set, such as the dev command's own
 *   defaults
 * @throws ConfigError
 */
export function loadConfig(environment: Environment, overrides: Environment = {}): Config {
  const problems: string[] = [];
  const get = <N extends VariableName>(name: N): ReturnType<(typeof VARIABLES)[N]["parse"]> => {
    const text = setOrUndefined(environment[name]) ?? setOrUndefined(overrides[name]);
    const variable: Variable<unknown> = VARIABLES[name];
    const result = parseVariable(name, variable, text, dev);
    if ("problem" in result) problems.push(result.problem);
    return ("value" in result ? result.value : undefined) as ReturnType<
      (typeof VARIABLES)[N]["parse"]
    >;
  };
  const dev = /^(1|true)$/i.test(
    environment["PYLON_DEV_MODE"] ?? overrides["PYLON_DEV_MODE"] ?? "",
  );
  get("PYLON_DEV_MODE");
  const databaseUrl = get("DATABASE_URL");
  const adminToken = get("PYLON_ADMIN_TOKEN") ?? null;
  if (adminToken !== null && !dev && adminToken.length < MIN_ADMIN_TOKEN) {
    problems.push(
      `PYLON_ADMIN_TOKEN has fewer than ${MIN_ADMIN_TOKEN} characters: make one with \`openssl rand -hex 32\`.`,
    );
  }
  const corsOrigins = get("PYLON_CORS_ORIGIN") ?? [];
  if (!dev && corsOrigins.includes("*")) {
    problems.push(
      "PYLON_CORS_ORIGIN is *, which lets every web page call this server: name the origins of yours, such as https://app.example.com.",
    );
  }
  const awsRegion = setOrUndefined(environment["AWS_REGION"]) ?? "us-east-1";
  const emailConfig = (): EmailConfig | null => {
    const smtpUrl = get("PYLON_SMTP_URL");
    const provider = get("PYLON_EMAIL_PROVIDER") ?? (smtpUrl === undefined ? undefined : "smtp");
    const [from, apiKey, url] = [
      get("PYLON_EMAIL_FROM"),
      get("PYLON_EMAIL_API_KEY"),
      get("PYLON_EMAIL_HTTP_URL"),
    ];
    if (provider === undefined) return null;
    const missing = (name: VariableName): null => {
      problems.push(
        `${name} is not set, and mail by ${provider} needs it: it wants ${VARIABLES[name].wants}.`,
      );
      return null;
    };
    if (from === undefined) return missing("PYLON_EMAIL_FROM");
    switch (provider) {
      case "smtp":
        return smtpUrl === undefined ? missing("PYLON_SMTP_URL") : { provider, from, smtpUrl };
      case "ses":
        return { provider, from, region: awsRegion, url };
      case "resend":
      case "sendgrid":
        return apiKey === undefined
          ? missing("PYLON_EMAIL_API_KEY")
          : { provider, from, apiKey, url };
      case "webhook":
        return url === undefined
          ? missing("PYLON_EMAIL_HTTP_URL")
          : { provider, from, apiKey: apiKey ?? null, url };
    }
  };
  const telemetryConfig = (): TelemetryConfig | null => {
    const endpoint = get("OTEL_EXPORTER_OTLP_ENDPOINT");
    const isOn = (
      name: "OTEL_TRACES_EXPORTER" | "OTEL_METRICS_EXPORTER" | "OTEL_LOGS_EXPORTER",
    ): boolean => get(name) === "otlp";
    const config = {
      headers: get("OTEL_EXPORTER_OTLP_HEADERS"),
      protocol: get("OTEL_EXPORTER_OTLP_PROTOCOL"),
      timeoutMs: get("OTEL_EXPORTER_OTLP_TIMEOUT"),
      serviceName: get("OTEL_SERVICE_NAME"),
      resource: get("OTEL_RESOURCE_ATTRIBUTES"),
      traces: isOn("OTEL_TRACES_EXPORTER")
        ? {
            sampler: get("OTEL_TRACES_SAMPLER"),
            argument: get("OTEL_TRACES_SAMPLER_ARG"),
            delayMs: get("OTEL_BSP_SCHEDULE_DELAY"),
          }
        : null,
      metrics: isOn("OTEL_METRICS_EXPORTER")
        ? { intervalMs: get("OTEL_METRIC_EXPORT_INTERVAL") }
        : null,
      logs: isOn("OTEL_LOGS_EXPORTER") ? { delayMs: get("OTEL_BLRP_SCHEDULE_DELAY") } : null,
    };
    if (
      config.traces?.sampler.endsWith("traceidratio") === true &&
      (config.traces.argument ?? 0) > 1
    )
      problems.push(
        "OTEL_TRACES_SAMPLER_ARG is above 1: a sampler by ratio wants a share from 0 to 1.",
      );
    const isWanted =
      !get("OTEL_SDK_DISABLED") && (config.traces ?? config.metrics ?? config.logs) !== null;
    return endpoint === undefined || !isWanted ? null : { ...config, endpoint };
  };
  const backupDir = get("PYLON_BACKUP_DIR");
  const backup = { hours: get("PYLON_BACKUP_HOURS"), keep: get("PYLON_BACKUP_KEEP") };
  if (backupDir !== undefined && databaseUrl !== undefined) {
    problems.push(
      "PYLON_BACKUP_DIR is set, and the rows are in Postgres, which has its own backups (pg_dump, or snapshots): take it out.",
    );
  }
  const isTemporary = get("PYLON_IN_MEMORY");
  const windowSeconds = get("PYLON_RATE_LIMIT_WINDOW");
  const accessKeyId = get("PYLON_S3_ACCESS_KEY");
  const secretAccessKey = get("PYLON_S3_SECRET_KEY");
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
    const missing = accessKeyId === undefined ? "PYLON_S3_ACCESS_KEY" : "PYLON_S3_SECRET_KEY";
    problems.push(
      `${missing} is not set, and its other half is: set both, or neither to use the credentials of the machine's role.`,
    );
  }
  const databasePath = isTemporary
    ? join(tmpdir(), `pylon-${crypto.randomUUID()}`, "pylon.db")
    : get("PYLON_DB_PATH");
  const config: Config = {
    dev,
    devHosts: get("PYLON_DEV_HOSTS"),
    host: get("PYLON_HOST"),
    port: get("PYLON_PORT"),
    extraPorts: !get("PYLON_SINGLE_PORT"),
    database:
      databaseUrl === undefined
        ? { kind: "sqlite", path: databasePath, isTemporary }
        : {
            kind: "postgres",
            url: databaseUrl,
            ca: get("PYLON_DATABASE_CA") ?? null,
            poolMax: get("PYLON_DATABASE_POOL"),
          },
    adminToken,
    corsOrigins,
    publicUrl: get("PYLON_PUBLIC_URL") ?? null,
    trustedOrigins: get("PYLON_TRUSTED_ORIGINS"),
    csrfOrigins: get("PYLON_CSRF_ORIGINS"),
    cookie: {
      name: get("PYLON_COOKIE_NAME"),
      domain: get("PYLON_COOKIE_DOMAIN"),
      sameSite: get("PYLON_COOKIE_SAME_SITE"),
      secure: get("PYLON_COOKIE_SECURE"),
    },
    hstsMaxAge:
      get("PYLON_PUBLIC_URL")?.startsWith("https:") === true ? get("PYLON_HSTS_MAX_AGE") : 0,
    encryptionSecret: get("PYLON_SSO_ENCRYPTION_KEY") ?? null,
    oauth: oauthProviders({ ...overrides, ...environment }, dev, problems),
    jwtSecret: get("PYLON_JWT_SECRET") ?? null,
    email: emailConfig(),
    rateLimit: { max: get("PYLON_RATE_LIMIT_MAX"), windowSeconds },
    fnRateLimit: {
      max: get("PYLON_FN_RATE_LIMIT_MAX"),
      windowSeconds: get("PYLON_FN_RATE_LIMIT_WINDOW"),
    },
    trustProxyHops: get("PYLON_TRUST_PROXY_HOPS"),
    drainSeconds: get("PYLON_DRAIN_SECS"),
    drainDelaySeconds: get("PYLON_DRAIN_DELAY_SECS"),
    logFormat: get("PYLON_LOG_FORMAT"),
    logLevel: get("PYLON_LOG_LEVEL"),
    accessLog: get("PYLON_ACCESS_LOG"),
    slowQueryMs: get("PYLON_SLOW_QUERY_MS"),
    telemetry: telemetryConfig(),
    maxFrameBytes: get("PYLON_WS_MAX_FRAME"),
    maxRowBytes: get("PYLON_MAX_ROW_BYTES"),
    maxBytesInFlight: get("PYLON_MAX_BYTES_IN_FLIGHT"),
    changeLogMax: get("PYLON_CHANGE_LOG_MAX"),
    queryTimeoutMs: get("PYLON_QUERY_TIMEOUT") * 1000,
    fnTimeoutMs: get("PYLON_FN_CALL_TIMEOUT") * 1000,
    functionsDir: get("PYLON_FUNCTIONS_DIR"),
    maxConnectionsPerAddress: get("PYLON_MAX_CONNECTIONS_PER_IP"),
    pingSeconds: get("PYLON_PING_SECS"),
    sendBufferBytes: get("PYLON_SEND_BUFFER_BYTES"),
    redisUrl: get("REDIS_URL") ?? null,
    redisNamespace: get("PYLON_REDIS_NAMESPACE") ?? null,
    backup: backupDir === undefined ? null : { dir: backupDir, ...backup },
    files: {
      provider: get("PYLON_FILES_PROVIDER"),
      dir:
        get("PYLON_FILES_DIR") ??
        (isTemporary ? join(dirname(databasePath), "uploads") : "uploads"),
      maxBytes: get("PYLON_FILES_MAX_BYTES"),
      orphanHours: get("PYLON_FILES_ORPHAN_HOURS"),
      guestBytes: get("PYLON_FILES_GUEST_BYTES"),
      s3: {
        bucket: get("PYLON_S3_BUCKET"),
        region: get("PYLON_S3_REGION") ?? awsRegion,
        endpoint: get("PYLON_S3_ENDPOINT"),
        credentials:
          accessKeyId === undefined || secretAccessKey === undefined
            ? undefined
            : { accessKeyId, secretAccessKey },
      },
    },
  };
  for (const [name, secret] of [
    ["PYLON_SSO_ENCRYPTION_KEY", config.encryptionSecret],
    ["PYLON_JWT_SECRET", config.jwtSecret],
  ] as const) {
    if (secret !== null && secret.length < MIN_SECRET)
      problems.push(
        `${name} has fewer than ${MIN_SECRET} characters: make one with \`openssl rand -hex 32\`.`,
      );
  }
  if (config.cookie.sameSite === "none" && !config.cookie.secure) {
    problems.push(
      "PYLON_COOKIE_SAME_SITE is none, which browsers take only with PYLON_COOKIE_SECURE=1.",
    );
  }
  if (problems.length > 0) throw new ConfigError(problems.join(" "));
  return config;
}

function setOrUndefined(text: string | undefined): string | undefined {
  return text === undefined || text === "" ? undefined : text;
}
