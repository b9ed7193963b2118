import type { LogLevel } from "./log-level.ts";
import type { OAuthProviderConfig } from "./oauth-variables.ts";
import type { SamplerName } from "./samplers.ts";

/**
 * All settings of a server that are not in the app. They are created from the environment, which
 * nothing else reads. See docs/configuration.md.
 */
export interface Config {
  readonly dev: boolean;
  /** Additional hosts that dev mode accepts. */
  readonly devHosts: readonly string[];
  readonly host: string;
  readonly port: number;
  /**
   * Whether sockets are also on port+1, event streams on port+2 and shards on port+3, as older
   * clients expect.
   */
  readonly extraPorts: boolean;
  /** Whether `/studio` is served, see `studioAccess`. */
  readonly studio: boolean;
  readonly database: DatabaseConfig;
  readonly adminToken: string | null;
  /** Origins of pages that may call, besides the server's own; `*` for any, only in dev mode. */
  readonly corsOrigins: readonly string[];
  /** The URL at which browsers reach this server; null: that of each request. */
  readonly publicUrl: string | null;
  /** The URL at which other replicas reach this one; null: an address of its machine. */
  readonly advertiseUrl: string | null;
  /** Pages that may send cookies and be redirected to, besides `corsOrigins`. */
  readonly trustedOrigins: readonly string[];
  /** Pages that may send cookies. */
  readonly csrfOrigins: readonly string[];
  readonly cookie: CookieConfig;
  /** For how long browsers must use only https, in seconds; 0: no header is sent. */
  readonly hstsMaxAge: number;
  /** The key that encrypts others' secrets; null: they are not stored outside dev mode. */
  readonly encryptionSecret: string | null;
  /** The providers to sign in with. */
  readonly oauth: readonly OAuthProviderConfig[];
  /** The key that signs JWTs; null: none are issued. */
  readonly jwtSecret: string | null;
  /** Null if it is not configured. */
  readonly email: EmailConfig | null;
  readonly rateLimit: RateLimit;
  readonly fnRateLimit: RateLimit;
  readonly trustProxyHops: number;
  readonly drainSeconds: number;
  /** How long it continues to serve after it announced its shutdown. */
  readonly drainDelaySeconds: number;
  readonly logFormat: "json" | "text";
  readonly logLevel: LogLevel;
  /** Whether every request is logged. */
  readonly accessLog: boolean;
  /** The duration from which a statement is logged, in milliseconds; 0: never. */
  readonly slowQueryMs: number;
  /** Null: nothing is exported. */
  readonly telemetry: TelemetryConfig | null;
  readonly maxFrameBytes: number;
  /** The maximum size of a row's values, in bytes. */
  readonly maxRowBytes: number;
  /** The maximum bytes of bodies being received, and as many of responses waiting for readers. */
  readonly maxBytesInFlight: number;
  readonly changeLogMax: number;
  /** The maximum duration of one read on behalf of a caller. */
  readonly queryTimeoutMs: number;
  readonly fnTimeoutMs: number;
  /** Which functions run in separate processes, how many of those there are, and their memory. */
  readonly isolation: {
    readonly mode: "auto" | "always" | "never";
    readonly processes: number;
    readonly memoryBytes: number;
  };
  /** The maximum number of jobs that this replica runs at the same time. */
  readonly jobsConcurrency: number;
  readonly functionsDir: string;
  readonly maxConnectionsPerAddress: number;
  /** The maximum number of sessions of a user; a further one ends the least recently used. */
  readonly maxSessionsPerUser: number;
  /** The maximum number of organizations that a user may own to create another. */
  readonly maxOrganizationsPerUser: number;
  /** After how many seconds of silence a live connection is pinged. */
  readonly pingSeconds: number;
  readonly sendBufferBytes: number;
  /** The maximum number of bytes queued for all slow readers of live connections. */
  readonly maxQueuedBytes: number;
  /** The Redis that replicas share besides the database. Null: there is one replica. */
  readonly redisUrl: string | null;
  /** The URL that runs workflows that the app does not contain; null: none. */
  readonly workflowRunnerUrl: string | null;
  /** The prefix of keys in Redis; null: derived from the app's name. */
  readonly redisNamespace: string | null;
  readonly files: FilesConfig;
  /** The automatic backups of `pylon start`; null: none. */
  readonly backup: BackupConfig | null;
  /** The AI model for users; null: none. */
  readonly ai: AiConfig | null;
}

/** A model, and how much of it a user may use. */
export interface AiConfig {
  /** The API format of its requests. */
  readonly provider: "openai" | "anthropic";
  /** Null for a server that needs none. */
  readonly apiKey: string | null;
  /** Without a trailing slash. */
  readonly baseUrl: string;
  /** The default model of requests. */
  readonly model: string;
  /** The maximum number of tokens of a response. */
  readonly maxTokens: number;
  readonly requests: RateLimit;
  readonly tokens: RateLimit;
}

/** The number of requests that one caller may send. */
export interface RateLimit {
  /** Requests per window; 0 disables the limit. */
  readonly max: number;
  readonly windowSeconds: number;
}

/** Backups that are created while the server runs. */
export interface BackupConfig {
  readonly dir: string;
  readonly hours: number;
  /** The maximum number of backups. */
  readonly keep: number;
}

/** What is sent by OTLP, and where. */
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

/** The session's cookie. */
export interface CookieConfig {
  /** Undefined: derived from the app's name. */
  readonly name: string | undefined;
  readonly domain: string | undefined;
  readonly sameSite: "lax" | "strict" | "none";
  readonly secure: boolean;
}

/** The mail provider. */
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

/** Where files are stored, by the environment; the app's plugin `file_storage` may override it. */
export interface FilesConfig {
  readonly provider: "local" | "s3";
  readonly dir: string;
  readonly maxBytes: number;
  readonly orphanHours: number;
  readonly guestBytes: number;
  readonly userBytes: number | undefined;
  readonly s3: {
    readonly bucket: string | undefined;
    readonly region: string;
    readonly endpoint: string | undefined;
    /** Undefined: found by the SDK, such as an ECS task role. */
    readonly credentials:
      | { readonly accessKeyId: string; readonly secretAccessKey: string }
      | undefined;
  };
}

/** The database; `poolMax` is the maximum number of connections to Postgres. */
export type DatabaseConfig =
  | { readonly kind: "sqlite"; readonly path: string; readonly isTemporary: boolean }
  | {
      readonly kind: "postgres";
      readonly url: string;
      readonly ca: string | null;
      readonly poolMax: number;
    };

/**
 * The environment is invalid; the message contains each variable, its value and the expected one.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}
