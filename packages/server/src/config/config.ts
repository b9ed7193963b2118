import type { LogLevel } from "./log-level.ts";
import type { OAuthProviderConfig } from "./oauth-variables.ts";
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
  /** Where other replicas reach this one; null: at an address of its machine. */
  readonly advertiseUrl: string | null;
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
  /** Which functions run in processes of their own, how many of those, and how large they grow. */
  readonly isolation: {
    readonly mode: "auto" | "always" | "never";
    readonly processes: number;
    readonly memoryBytes: number;
  };
  /** Most jobs that this replica runs at the same time. */
  readonly jobsConcurrency: number;
  readonly functionsDir: string;
  readonly maxConnectionsPerAddress: number;
  /** After how many silent seconds a live connection is pinged. */
  readonly pingSeconds: number;
  readonly sendBufferBytes: number;
  /** What several replicas share beside the database. Null: there is one replica. */
  readonly redisUrl: string | null;
  /** Where workflows are run that the app does not have; null: nowhere. */
  readonly workflowRunnerUrl: string | null;
  /** What keys in Redis begin with; null: made of the app's name. */
  readonly redisNamespace: string | null;
  readonly files: FilesConfig;
  /** What `pylon start` copies by itself; null: nothing. */
  readonly backup: BackupConfig | null;
  /** The model that users ask; null: none. */
  readonly ai: AiConfig | null;
}

/** A model, and how much of it a user may use. */
export interface AiConfig {
  /** Whose form of requests it takes. */
  readonly provider: "openai" | "anthropic";
  /** Null for a server that needs none. */
  readonly apiKey: string | null;
  /** Without a slash at its end. */
  readonly baseUrl: string;
  /** The one that answers when a request names none. */
  readonly model: string;
  /** Most tokens of an answer. */
  readonly maxTokens: number;
  readonly requests: RateLimit;
  readonly tokens: RateLimit;
}

/** How many requests one caller may send. */
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

/** The session's cookie. */
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

/** Where the data is; `poolMax` is how many connections to Postgres there are at most. */
export type DatabaseConfig =
  | { readonly kind: "sqlite"; readonly path: string; readonly isTemporary: boolean }
  | {
      readonly kind: "postgres";
      readonly url: string;
      readonly ca: string | null;
      readonly poolMax: number;
    };

/**
 * The environment is invalid; the message names each variable, what it holds and what it should.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}
