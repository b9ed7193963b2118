import type { ClientConfig } from "pg";

/** The time limits of Pylon's sessions in Postgres, in milliseconds. */
export interface SessionLimits {
  /**
   * The maximum wait for a lock of another transaction; then the waiting one starts again, without
   * holding a connection in between.
   */
  readonly lockMs: number;
  /**
   * The maximum time that a transaction may be idle: its process is frozen or gone, and others wait
   * for its rows.
   */
  readonly idleMs: number;
  /** The maximum duration of a statement. */
  readonly statementMs: number;
}

/** The limits of a server; a test may use shorter ones. */
export const SESSION_LIMITS: SessionLimits = {
  lockMs: 50,
  idleMs: 10_000,
  statementMs: 60_000,
};

/**
 * The interval at which a running statement checks whether its client is still connected, in
 * milliseconds.
 */
const CLIENT_CHECK_MS = 1_000;
/**
 * A connection whose client does not acknowledge sent data is closed after this time, in
 * milliseconds.
 */
const UNSENT_MS = 15_000;
/** Keepalives detect that a client's host is gone within 10 + 3 x 3 seconds. */
const KEEPALIVE_S = { idle: 10, interval: 3, count: 3 };

/**
 * Postgres compiles statements that it estimates to be expensive. Pylon's statements read few rows
 * with many conditions, as in the feed when rights depend on other rows: compiling one may take 20
 * seconds, but running it takes a few milliseconds.
 */
const NO_COMPILING = "SET LOCAL jit = off";

/**
 * The limits as settings of a session, for `options` of the connection. Poolers reject or ignore
 * them: see `keepsSettings`.
 */
export function sessionOptions(limits: SessionLimits): string {
  const settings = {
    jit: "off",
    statement_timeout: limits.statementMs,
    idle_in_transaction_session_timeout: limits.idleMs,
    client_connection_check_interval: CLIENT_CHECK_MS,
    tcp_user_timeout: UNSENT_MS,
    tcp_keepalives_idle: KEEPALIVE_S.idle,
    tcp_keepalives_interval: KEEPALIVE_S.interval,
    tcp_keepalives_count: KEEPALIVE_S.count,
  };
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(" ");
}

/**
 * Returns the value that `sessionOptions` sets for this limit, in milliseconds, if the session has
 * kept it.
 */
export const IDLE_LIMIT_QUERY = `SELECT setting::int AS idle FROM pg_settings
  WHERE name = 'idle_in_transaction_session_timeout'`;

/**
 * The settings that a write transaction sets after BEGIN: settings that the session can't keep are
 * set in each transaction, which every pooler allows.
 */
export function transactionSettings(limits: SessionLimits, connection: ClientConfig): string[] {
  const lock = `SET LOCAL lock_timeout = ${limits.lockMs}`;
  if (keepsSettings(connection)) return [lock];
  return [lock, ...snapshotSettings(limits, connection)];
}

/** The same for a read-only transaction. */
export function snapshotSettings(limits: SessionLimits, connection: ClientConfig): string[] {
  if (keepsSettings(connection)) return [];
  return [
    NO_COMPILING,
    `SET LOCAL idle_in_transaction_session_timeout = ${limits.idleMs}`,
    `SET LOCAL statement_timeout = ${limits.statementMs}`,
    // A pooler may lose the request to cancel a statement; it closes the connection nevertheless.
    `SET LOCAL client_connection_check_interval = ${CLIENT_CHECK_MS}`,
  ];
}

function keepsSettings({ options }: ClientConfig): boolean {
  return options !== undefined;
}
