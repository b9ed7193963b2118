import { readFileSync } from "node:fs";
import { Client, type ClientConfig } from "pg";
import { sleep, systemPlatform, type Platform } from "../../platform.ts";
import { PylonStartError } from "../../start-error.ts";
import type { QueryObserver } from "../../observe/query-observer.ts";
import { errorCode, errorText } from "../../util/errors.ts";
import type { DatabaseState } from "../store.ts";
import { rdsRoots } from "./rds-roots.ts";
import {
  IDLE_LIMIT_QUERY,
  SESSION_LIMITS,
  sessionOptions,
  type SessionLimits,
} from "./session-settings.ts";

/** The database, and the options of its store. */
export interface PostgresOptions {
  /** `postgres://user:password@host:port/database?sslmode=...` */
  readonly url: string;
  /** The maximum number of connections of this process. */
  readonly poolMax: number;
  /**
   * The CA certificate of the server's certificate, as PEM or the path of a PEM file; if it is
   * given, the server's certificate is verified.
   */
  readonly ca: string | null;
  /** The maximum time to wait for the server to become available, in milliseconds. */
  readonly startTimeoutMs: number;
  /**
   * Called once when the database is lost, and once when it is back; the store reconnects by
   * itself.
   */
  readonly onState: (state: DatabaseState, error?: unknown) => void;
  /** Called if the database was restored, or is a copy, so that its change log was renewed. */
  readonly onCopy?: (() => void) | undefined;
  /** Notified of each statement. */
  readonly observer?: QueryObserver | null | undefined;
  /**
   * The statements that create the tables and functions of features whose state is not in rows,
   * such as rooms. Each statement may be run again.
   */
  readonly extraDdl?: readonly string[] | undefined;
  /** Default: the system's platform. */
  readonly platform?: Platform | undefined;
  /** Default SILENCE_MS, in milliseconds. */
  readonly silenceMs?: number | undefined;
  /** Default SESSION_LIMITS. */
  readonly limits?: SessionLimits | undefined;
}

type SslMode = "disable" | "prefer" | "require" | "verify-ca" | "verify-full";
const MODES: readonly SslMode[] = ["disable", "prefer", "require", "verify-ca", "verify-full"];
const RETRY_MS = 250;
const CONNECT_MS = 10_000;

/**
 * Finds the options for connecting to the database of this URL, by a test connection, so that
 * errors are reported at the start. The result contains `options` if the server keeps settings of a
 * session, which a pooler does not.
 *
 * @throws PylonStartError
 */
export async function connectionOptions(options: PostgresOptions): Promise<ClientConfig> {
  const { base, mode, candidates } = await connectionCandidates(options);
  const { limits = SESSION_LIMITS, platform = systemPlatform } = options;
  const end = platform.monotonic() + options.startTimeoutMs;
  for (;;) {
    let failure: unknown;
    for (const candidate of candidates) {
      const limited = { ...candidate, options: sessionOptions(limits) };
      failure = await tryConnect(limited, limits);
      if (failure === null) return limited;
      if (hasRefusedOptions(failure)) failure = await tryConnect(candidate);
      if (failure === null) return candidate;
      if (!isWithoutTls(failure)) break;
    }
    if (!isDown(failure) || platform.monotonic() > end)
      throw new PylonStartError(explain(failure, base, mode));
    await sleep(platform, RETRY_MS);
  }
}

/**
 * The connection options to try, in order.
 *
 * @throws PylonStartError
 */
export async function connectionCandidates({
  url: text,
  ca,
}: Pick<PostgresOptions, "url" | "ca">): Promise<{
  readonly base: ClientConfig;
  readonly mode: SslMode;
  readonly candidates: ClientConfig[];
}> {
  const url = new URL(text);
  const host = url.searchParams.get("host") ?? url.hostname.replace(/^\[|\]$/g, "");
  const certificate = ca ?? url.searchParams.get("sslrootcert");
  const roots = certificate === null ? await rdsRoots(host) : readCertificate(certificate);
  const wanted = url.searchParams.get("sslmode") ?? (roots === null ? "prefer" : "verify-full");
  const mode = MODES.find((known) => known === wanted);
  if (mode === undefined)
    throw new PylonStartError(
      `DATABASE_URL has sslmode=${wanted}: use one of ${MODES.join(", ")}.`,
    );
  const base: ClientConfig = {
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    host,
    port: url.port === "" ? 5432 : Number(url.port),
    database: decodeURIComponent(url.pathname.slice(1)),
  };
  return {
    base,
    mode,
    candidates: tlsFor(mode, roots, host, certificate !== null).map((ssl): ClientConfig => ({
      ...base,
      ssl,
      connectionTimeoutMillis: CONNECT_MS,
    })),
  };
}

/**
 * As in libpq, the certificate is verified if a CA certificate was given, or if the mode requires
 * it.
 */
function tlsFor(
  mode: SslMode,
  roots: string | readonly string[] | null,
  host: string,
  isGiven: boolean,
): ClientConfig["ssl"][] {
  if (mode === "disable") return [false];
  const serverName = /^[\d.:]+$/.test(host) ? {} : { servername: host };
  const checked = {
    rejectUnauthorized: true,
    ...(roots === null ? {} : { ca: [roots].flat() }),
    ...serverName,
  };
  if (mode === "verify-full") return [checked];
  if (mode === "verify-ca" || isGiven)
    return [{ ...checked, checkServerIdentity: () => undefined }];
  const unchecked = { rejectUnauthorized: false, ...serverName };
  return mode === "require" ? [unchecked] : [unchecked, false];
}

function readCertificate(value: string): string {
  if (value.includes("-----BEGIN")) return value;
  try {
    return readFileSync(value, "utf8");
  } catch {
    throw new PylonStartError(
      `The certificate file ${value} of PYLON_DATABASE_CA or sslrootcert can't be read.`,
    );
  }
}

/**
 * @param limits the limits that the session should have
 * @returns null, or the error
 */
async function tryConnect(config: ClientConfig, limits?: SessionLimits): Promise<unknown> {
  const client = new Client(config);
  client.on("error", () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ idle: number }>(IDLE_LIMIT_QUERY);
    if (limits !== undefined && rows[0]?.idle !== limits.idleMs) return new OptionsIgnored();
    return null;
  } catch (error) {
    return error ?? new Error("unknown");
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** A proxy between Pylon and the server ignored the settings. */
class OptionsIgnored extends Error {}

/**
 * A pooler rejects settings that it can't keep; a server without Linux sockets rejects one of them.
 */
function hasRefusedOptions(error: unknown): boolean {
  return (
    error instanceof OptionsIgnored ||
    ["08P01", "0A000", "22023", "42704", "55P02"].includes(errorCode(error))
  );
}

function isWithoutTls(error: unknown): boolean {
  return error instanceof Error && /does not support SSL/i.test(error.message);
}

/** The server is down, starting or stopping, or other servers have all of its connections. */
const NO_CONNECTION = "53300";
const DOWN = new Set([
  "ECONNREFUSED",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ECONNRESET",
  "57P01",
  "57P03",
  NO_CONNECTION,
]);

function isDown(error: unknown): boolean {
  const code = errorCode(error);
  return DOWN.has(code) || (error instanceof Error && /timeout|terminated/i.test(error.message));
}

function explain(
  error: unknown,
  { host, port, database, user }: ClientConfig,
  mode: SslMode,
): string {
  const where = `${String(host)}:${String(port)}`;
  const reason = errorText(error);
  switch (errorCode(error)) {
    case "28P01":
    case "28000":
      return (
        `Postgres at ${where} rejected the user "${String(user)}": ` +
        `check user and password of DATABASE_URL (${reason}).`
      );
    case "3D000":
      return (
        `Postgres at ${where} has no database "${String(database)}": ` +
        "create it with CREATE DATABASE, or correct DATABASE_URL."
      );
    case NO_CONNECTION:
      return (
        `Postgres at ${where} has no free connection (${reason}): ` +
        "lower PYLON_DATABASE_POOL of the servers, or raise max_connections."
      );
    default:
      if (isDown(error))
        return (
          `Postgres at ${where} can't be reached (${reason || errorCode(error)}): ` +
          "check that it is running where DATABASE_URL says."
        );
      return (
        `Postgres at ${where} can't be used with sslmode=${mode}: ${reason}` +
        (/certificate/i.test(reason)
          ? ". Set PYLON_DATABASE_CA to the CA certificate of the server."
          : "")
      );
  }
}
