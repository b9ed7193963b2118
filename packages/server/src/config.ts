import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseVariable, VARIABLES, type Variable, type VariableName } from "./config/variables.ts";
import type { LogLevel } from "./observe/log.ts";
import type { RateLimit } from "./request/rate-limit.ts";

/** Everything about a server that is not in the app. Made from the environment; nothing else reads it. See docs/configuration.md. */
export interface Config {
  readonly dev: boolean;
  readonly host: string;
  readonly port: number;
  /** Sockets on port+1 and event streams on port+2 too, as older clients expect them. */
  readonly extraPorts: boolean;
  readonly database: DatabaseConfig;
  readonly adminToken: string | null;
  /** Origins of web pages that may call; `*` in dev mode. */
  readonly corsOrigins: readonly string[];
  readonly rateLimit: RateLimit;
  readonly fnRateLimit: RateLimit;
  readonly trustProxyHops: number;
  readonly drainSeconds: number;
  readonly logFormat: "json" | "text";
  readonly logLevel: LogLevel;
  readonly maxFrameBytes: number;
  readonly changeLogMax: number;
  readonly fnTimeoutMs: number;
  readonly functionsDir: string;
  readonly maxConnectionsPerAddress: number;
  readonly sendBufferBytes: number;
  /** What several replicas share beside the database. Null: there is one replica. */
  readonly redisUrl: string | null;
  /** What keys in Redis begin with; null: made of the app's name. */
  readonly redisNamespace: string | null;
}

export type DatabaseConfig =
  | { readonly kind: "sqlite"; readonly path: string; readonly isTemporary: boolean }
  | { readonly kind: "postgres"; readonly url: string; readonly ca: string | null; readonly poolMax: number };

/** The environment is not usable; the message names each variable, what it holds and what it should. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

type Environment = Readonly<Record<string, string | undefined>>;

const MIN_ADMIN_TOKEN = 16;

/**
 * Reads the environment.
 *
 * @param overrides take the place of variables that are not set, such as the dev command's own defaults
 * @throws ConfigError
 */
export function loadConfig(environment: Environment, overrides: Environment = {}): Config {
  const problems: string[] = [];
  const get = <N extends VariableName>(name: N): ReturnType<(typeof VARIABLES)[N]["parse"]> => {
    const text = setOrUndefined(environment[name]) ?? setOrUndefined(overrides[name]);
    const variable: Variable<unknown> = VARIABLES[name];
    const result = parseVariable(name, variable, text, dev);
    if ("problem" in result) problems.push(result.problem);
    return ("value" in result ? result.value : undefined) as ReturnType<(typeof VARIABLES)[N]["parse"]>;
  };
  const dev = /^(1|true)$/i.test(environment["PYLON_DEV_MODE"] ?? overrides["PYLON_DEV_MODE"] ?? "");
  get("PYLON_DEV_MODE");
  const databaseUrl = get("DATABASE_URL");
  const adminToken = get("PYLON_ADMIN_TOKEN") ?? null;
  if (adminToken !== null && !dev && adminToken.length < MIN_ADMIN_TOKEN) {
    problems.push(`PYLON_ADMIN_TOKEN has fewer than ${MIN_ADMIN_TOKEN} characters: make one with \`openssl rand -hex 32\`.`);
  }
  const corsOrigins = get("PYLON_CORS_ORIGIN") ?? (dev ? ["*"] : []);
  if (!dev && corsOrigins.includes("*")) {
    problems.push("PYLON_CORS_ORIGIN is *, which lets every web page call this server: name the origins of yours, such as https://app.example.com.");
  }
  const isTemporary = get("PYLON_IN_MEMORY");
  const windowSeconds = get("PYLON_RATE_LIMIT_WINDOW");
  const config: Config = {
    dev,
    host: get("PYLON_HOST"),
    port: get("PYLON_PORT"),
    extraPorts: !get("PYLON_SINGLE_PORT"),
    database:
      databaseUrl === undefined
        ? { kind: "sqlite", path: isTemporary ? join(tmpdir(), `pylon-${crypto.randomUUID()}`, "pylon.db") : get("PYLON_DB_PATH"), isTemporary }
        : { kind: "postgres", url: databaseUrl, ca: get("PYLON_DATABASE_CA") ?? null, poolMax: get("PYLON_DATABASE_POOL") },
    adminToken,
    corsOrigins,
    rateLimit: { max: get("PYLON_RATE_LIMIT_MAX"), windowSeconds },
    fnRateLimit: { max: get("PYLON_FN_RATE_LIMIT_MAX"), windowSeconds: get("PYLON_FN_RATE_LIMIT_WINDOW") },
    trustProxyHops: get("PYLON_TRUST_PROXY_HOPS"),
    drainSeconds: get("PYLON_DRAIN_SECS"),
    logFormat: get("PYLON_LOG_FORMAT"),
    logLevel: get("PYLON_LOG_LEVEL"),
    maxFrameBytes: get("PYLON_WS_MAX_FRAME"),
    changeLogMax: get("PYLON_CHANGE_LOG_MAX"),
    fnTimeoutMs: get("PYLON_FN_CALL_TIMEOUT") * 1000,
    functionsDir: get("PYLON_FUNCTIONS_DIR"),
    maxConnectionsPerAddress: get("PYLON_MAX_CONNECTIONS_PER_IP"),
    sendBufferBytes: get("PYLON_SEND_BUFFER_BYTES"),
    redisUrl: get("REDIS_URL") ?? null,
    redisNamespace: get("PYLON_REDIS_NAMESPACE") ?? null,
  };
  if (problems.length > 0) throw new ConfigError(problems.join(" "));
  return config;
}

function setOrUndefined(text: string | undefined): string | undefined {
  return text === undefined || text === "" ? undefined : text;
}
