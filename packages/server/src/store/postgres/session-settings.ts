import type { ClientConfig } from "pg";

/** How long Postgres bears with a session of ours, in milliseconds. */
export interface SessionLimits {
  /**
   * A transaction waits for another's lock; then it starts again, without a connection meanwhile.
   */
  readonly lockMs: number;
  /** A transaction is idle: its process is frozen or gone, and others wait for its rows. */
  readonly idleMs: number;
  /** A statement runs. */
  readonly statementMs: number;
}

/** The limits of a server; a test may have shorter ones. */
export const SESSION_LIMITS: SessionLimits = {
  lockMs: 50,
  idleMs: 10_000,
  statementMs: 60_000,
};

/** How often a running statement looks whether its client is still there, in milliseconds. */
const CLIENT_CHECK_MS = 1_000;
/** What is sent to a client that takes nothing of it ends after this, in milliseconds. */
const UNSENT_MS = 15_000;
/** Keepalives find a client's host that is gone within 10 + 3 x 3 seconds. */
const KEEPALIVE_S = { idle: 10, interval: 3, count: 3 };

/**
 * Postgres compiles a statement that it holds to be costly. Ours read few rows by many conditions,
 * as the feed does where rights look at other rows: to compile one may take 20 seconds, and to run
 * it a few milliseconds.
 */
const NO_COMPILING = "SET LOCAL jit = off";

/**
 * The limits as settings of a session, in `options` of the connection. Poolers refuse that, or
 * ignore it: see `keepsSettings`.
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

/** Answers in milliseconds what `sessionOptions` has set last, when the session has it. */
export const IDLE_LIMIT_QUERY = `SELECT setting::int AS idle FROM pg_settings
  WHERE name = 'idle_in_transaction_session_timeout'`;

/**
 * What a transaction that writes sets for itself, after BEGIN: what its session can't keep is set
 * in each transaction, which every pooler allows.
 */
export function transactionSettings(limits: SessionLimits, connection: ClientConfig): string[] {
  const lock = `SET LOCAL lock_timeout = ${limits.lockMs}`;
  if (keepsSettings(connection)) return [lock];
  return [lock, ...snapshotSettings(limits, connection)];
}

/** The same for a transaction that only reads. */
export function snapshotSettings(limits: SessionLimits, connection: ClientConfig): string[] {
  if (keepsSettings(connection)) return [];
  return [
    NO_COMPILING,
    `SET LOCAL idle_in_transaction_session_timeout = ${limits.idleMs}`,
    `SET LOCAL statement_timeout = ${limits.statementMs}`,
    // A pooler may lose the request to cancel a statement; it closes the connection all the same.
    `SET LOCAL client_connection_check_interval = ${CLIENT_CHECK_MS}`,
  ];
}

function keepsSettings({ options }: ClientConfig): boolean {
  return options !== undefined;
}
