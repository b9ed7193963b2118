import type { Platform } from "../../platform.ts";
import { pause } from "./pause.ts";
import type { ConnectionPool } from "./pool.ts";
import type { TransactionMark } from "./open-transaction.ts";

/** The outcome of a commit without a response. */
export type CommitOutcome = "committed" | "aborted" | "unknown";

/** How long the database is queried for the outcome of a commit, in milliseconds. */
const RETRY_TIMEOUT_MS = 10_000;
/**
 * An id that the server has not assigned yet means aborted: the server crashed before anything of
 * the transaction was on disk.
 */
const STATUS = `SELECT
    CASE WHEN $1::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) THEN 'aborted'
      ELSE pg_xact_status($1::xid8) END AS status,
  EXISTS (SELECT 1 FROM "_pylon_changes" WHERE id = $2 AND xid = $1::xid8) AS is_there`;

/**
 * Determines the outcome of a transaction whose COMMIT was sent on a connection that broke. After a
 * crash its id may have been assigned to another transaction, so it counts as committed only if its
 * change is in the log.
 */
export async function resolveCommit(
  pool: ConnectionPool,
  { xid, changeId }: TransactionMark,
  platform: Platform,
): Promise<CommitOutcome> {
  const end = platform.monotonic() + RETRY_TIMEOUT_MS;
  for (let attempt = 0; platform.monotonic() < end; attempt += 1) {
    try {
      const [row] = await pool.read(STATUS, [xid, changeId]);
      if (row?.["is_there"] === true) return "committed";
      if (row?.["status"] !== "in progress") return "aborted";
    } catch {
      // The database is not available yet: the pool has already waited for a while.
    }
    await pause(platform, attempt);
  }
  return "unknown";
}
