import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { systemPlatform } from "../platform.ts";
import { aiConfig } from "./ai-config.ts";
import {
  ConfigError,
  type BackupConfig,
  type Config,
  type DatabaseConfig,
  type FilesConfig,
} from "./config.ts";
import { emailConfig } from "./email-config.ts";
import { oauthProviders } from "./oauth-variables.ts";
import { telemetryConfig } from "./telemetry-config.ts";
import { VariableReader, type Environment } from "./variable-reader.ts";

const MIN_ADMIN_TOKEN = 16;
const MIN_SECRET = 32;

/**
 * Reads the environment.
 *
 * @param overrides used for variables that are not set, such as the dev command's own defaults
 * @throws ConfigError
 */
export function loadConfig(environment: Environment, overrides: Environment = {}): Config {
  const reader = new VariableReader(environment, overrides);
  reader.get("PYLON_DEV_MODE");
  const database = databaseConfig(reader);
  const oauthProblems: string[] = [];
  const config: Config = {
    dev: reader.dev,
    database,
    ...callers(reader),
    ...secrets(reader),
    ...serving(reader),
    ...logging(reader),
    ...limits(reader),
    oauth: oauthProviders({ ...overrides, ...environment }, reader.dev, oauthProblems),
    email: emailConfig(reader),
    telemetry: telemetryConfig(reader),
    redisUrl: reader.get("REDIS_URL") ?? null,
    workflowRunnerUrl: reader.get("PYLON_WORKFLOW_RUNNER_URL") ?? null,
    redisNamespace: reader.get("PYLON_REDIS_NAMESPACE") ?? null,
    backup: backupConfig(reader, database),
    files: filesConfig(reader, database),
    ai: aiConfig(reader),
  };
  const problems = [...reader.problems, ...oauthProblems];
  if (problems.length > 0) throw new ConfigError(problems.join(" "));
  return config;
}

function databaseConfig(reader: VariableReader): DatabaseConfig {
  const url = reader.get("DATABASE_URL");
  const ca = reader.get("PYLON_DATABASE_CA") ?? null;
  const poolMax = reader.get("PYLON_DATABASE_POOL");
  const given = reader.get("PYLON_DB_PATH");
  const isTemporary = reader.get("PYLON_IN_MEMORY");
  if (url !== undefined) return { kind: "postgres", url, ca, poolMax };
  const path = isTemporary ? join(tmpdir(), `pylon-${systemPlatform.uuid()}`, "pylon.db") : given;
  return { kind: "sqlite", path, isTemporary };
}

/** Who may call, and from which pages. */
function callers(
  reader: VariableReader,
): Pick<
  Config,
  | "adminToken"
  | "corsOrigins"
  | "publicUrl"
  | "advertiseUrl"
  | "trustedOrigins"
  | "csrfOrigins"
  | "cookie"
  | "hstsMaxAge"
> {
  const adminToken = reader.get("PYLON_ADMIN_TOKEN") ?? null;
  if (adminToken !== null && !reader.dev && adminToken.length < MIN_ADMIN_TOKEN)
    reader.problems.add(tooShort("PYLON_ADMIN_TOKEN", MIN_ADMIN_TOKEN));
  const corsOrigins = reader.get("PYLON_CORS_ORIGIN") ?? [];
  if (!reader.dev && corsOrigins.includes("*"))
    reader.problems.add(
      "PYLON_CORS_ORIGIN is *, which lets every web page call this server: list your own " +
        "origins, such as https://app.example.com.",
    );
  const publicUrl = reader.get("PYLON_PUBLIC_URL") ?? null;
  const hstsMaxAge = reader.get("PYLON_HSTS_MAX_AGE");
  return {
    adminToken,
    corsOrigins,
    publicUrl,
    advertiseUrl: reader.get("PYLON_ADVERTISE_URL") ?? null,
    trustedOrigins: reader.get("PYLON_TRUSTED_ORIGINS"),
    csrfOrigins: reader.get("PYLON_CSRF_ORIGINS"),
    cookie: cookieConfig(reader),
    hstsMaxAge: publicUrl?.startsWith("https:") === true ? hstsMaxAge : 0,
  };
}

function cookieConfig(reader: VariableReader): Config["cookie"] {
  const cookie = {
    name: reader.get("PYLON_COOKIE_NAME"),
    domain: reader.get("PYLON_COOKIE_DOMAIN"),
    sameSite: reader.get("PYLON_COOKIE_SAME_SITE"),
    secure: reader.get("PYLON_COOKIE_SECURE"),
  };
  if (cookie.sameSite === "none" && !cookie.secure)
    reader.problems.add(
      "PYLON_COOKIE_SAME_SITE is none, which browsers accept only with PYLON_COOKIE_SECURE=1.",
    );
  return cookie;
}

function secrets(reader: VariableReader): Pick<Config, "encryptionSecret" | "jwtSecret"> {
  const secret = (name: "PYLON_SSO_ENCRYPTION_KEY" | "PYLON_JWT_SECRET"): string | null => {
    const value = reader.get(name) ?? null;
    if (value !== null && value.length < MIN_SECRET)
      reader.problems.add(tooShort(name, MIN_SECRET));
    return value;
  };
  return {
    encryptionSecret: secret("PYLON_SSO_ENCRYPTION_KEY"),
    jwtSecret: secret("PYLON_JWT_SECRET"),
  };
}

function tooShort(name: string, min: number): string {
  return `${name} has fewer than ${min} characters: generate one with \`openssl rand -hex 32\`.`;
}

/** Where the server listens, and how it starts and stops. */
function serving(
  reader: VariableReader,
): Pick<
  Config,
  | "devHosts"
  | "host"
  | "port"
  | "extraPorts"
  | "studio"
  | "trustProxyHops"
  | "drainSeconds"
  | "drainDelaySeconds"
  | "functionsDir"
> {
  return {
    devHosts: reader.get("PYLON_DEV_HOSTS"),
    host: reader.get("PYLON_HOST"),
    port: reader.get("PYLON_PORT"),
    extraPorts: !reader.get("PYLON_SINGLE_PORT"),
    studio: reader.get("PYLON_STUDIO"),
    trustProxyHops: reader.get("PYLON_TRUST_PROXY_HOPS"),
    drainSeconds: reader.get("PYLON_DRAIN_SECS"),
    drainDelaySeconds: reader.get("PYLON_DRAIN_DELAY_SECS"),
    functionsDir: reader.get("PYLON_FUNCTIONS_DIR"),
  };
}

function logging(
  reader: VariableReader,
): Pick<Config, "logFormat" | "logLevel" | "accessLog" | "slowQueryMs"> {
  return {
    logFormat: reader.get("PYLON_LOG_FORMAT"),
    logLevel: reader.get("PYLON_LOG_LEVEL"),
    accessLog: reader.get("PYLON_ACCESS_LOG"),
    slowQueryMs: reader.get("PYLON_SLOW_QUERY_MS"),
  };
}

function limits(
  reader: VariableReader,
): Pick<
  Config,
  | "rateLimit"
  | "fnRateLimit"
  | "maxFrameBytes"
  | "maxRowBytes"
  | "maxBytesInFlight"
  | "changeLogMax"
  | "queryTimeoutMs"
  | "fnTimeoutMs"
  | "isolation"
  | "jobsConcurrency"
  | "maxConnectionsPerAddress"
  | "maxSessionsPerUser"
  | "maxOrganizationsPerUser"
  | "pingSeconds"
  | "sendBufferBytes"
  | "maxQueuedBytes"
> {
  return {
    rateLimit: {
      max: reader.get("PYLON_RATE_LIMIT_MAX"),
      windowSeconds: reader.get("PYLON_RATE_LIMIT_WINDOW"),
    },
    fnRateLimit: {
      max: reader.get("PYLON_FN_RATE_LIMIT_MAX"),
      windowSeconds: reader.get("PYLON_FN_RATE_LIMIT_WINDOW"),
    },
    maxFrameBytes: reader.get("PYLON_WS_MAX_FRAME"),
    maxRowBytes: reader.get("PYLON_MAX_ROW_BYTES"),
    maxBytesInFlight: reader.get("PYLON_MAX_BYTES_IN_FLIGHT"),
    changeLogMax: reader.get("PYLON_CHANGE_LOG_MAX"),
    queryTimeoutMs: reader.get("PYLON_QUERY_TIMEOUT") * 1000,
    fnTimeoutMs: reader.get("PYLON_FN_CALL_TIMEOUT") * 1000,
    isolation: {
      mode: reader.get("PYLON_FUNCTION_ISOLATION"),
      processes: reader.get("PYLON_FUNCTION_PROCESSES"),
      memoryBytes: reader.get("PYLON_FUNCTION_MEMORY_MB") * 1024 * 1024,
    },
    jobsConcurrency: reader.get("PYLON_JOBS_CONCURRENCY"),
    maxConnectionsPerAddress: reader.get("PYLON_MAX_CONNECTIONS_PER_IP"),
    maxSessionsPerUser: reader.get("PYLON_MAX_SESSIONS_PER_USER"),
    maxOrganizationsPerUser: reader.get("PYLON_MAX_ORGS_PER_USER"),
    pingSeconds: reader.get("PYLON_PING_SECS"),
    sendBufferBytes: reader.get("PYLON_SEND_BUFFER_BYTES"),
    maxQueuedBytes: reader.get("PYLON_MAX_QUEUED_BYTES"),
  };
}

function backupConfig(reader: VariableReader, database: DatabaseConfig): BackupConfig | null {
  const dir = reader.get("PYLON_BACKUP_DIR");
  const backup = { hours: reader.get("PYLON_BACKUP_HOURS"), keep: reader.get("PYLON_BACKUP_KEEP") };
  if (dir === undefined) return null;
  if (database.kind === "postgres")
    reader.problems.add(
      "PYLON_BACKUP_DIR is set, but the rows are in Postgres, which has its own backups " +
        "(pg_dump, or snapshots): remove the variable.",
    );
  return { dir, ...backup };
}

function filesConfig(reader: VariableReader, database: DatabaseConfig): FilesConfig {
  const accessKeyId = reader.get("PYLON_S3_ACCESS_KEY");
  const secretAccessKey = reader.get("PYLON_S3_SECRET_KEY");
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
    const missing = accessKeyId === undefined ? "PYLON_S3_ACCESS_KEY" : "PYLON_S3_SECRET_KEY";
    reader.problems.add(
      `${missing} is not set, but its counterpart is: set both, or ` +
        "neither to use the credentials of the machine's role.",
    );
  }
  const besides = reader.get("PYLON_IN_MEMORY") && database.kind === "sqlite";
  return {
    provider: reader.get("PYLON_FILES_PROVIDER"),
    dir:
      reader.get("PYLON_FILES_DIR") ??
      (besides ? join(dirname(database.path), "uploads") : "uploads"),
    maxBytes: reader.get("PYLON_FILES_MAX_BYTES"),
    orphanHours: reader.get("PYLON_FILES_ORPHAN_HOURS"),
    guestBytes: reader.get("PYLON_FILES_GUEST_BYTES"),
    userBytes: reader.get("PYLON_FILES_USER_BYTES"),
    s3: {
      bucket: reader.get("PYLON_S3_BUCKET"),
      region: reader.get("PYLON_S3_REGION") ?? reader.awsRegion,
      endpoint: reader.get("PYLON_S3_ENDPOINT"),
      credentials:
        accessKeyId === undefined || secretAccessKey === undefined
          ? undefined
          : { accessKeyId, secretAccessKey },
    },
  };
}
