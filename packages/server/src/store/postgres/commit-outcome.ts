import type { Platform } from "../../platform.ts";
import { pause } from "./pause.ts";
import type { ConnectionPool } from "./pool.ts";
import type { TransactionMark } from "./postgres-transaction.ts";

/** What became of a commit that was not answered. */
export type CommitOutcome = "committed" | "aborted" | "unknown";

/** How long the database is asked what became of a commit, in milliseconds. */
const RETRY_TIMEOUT_MS = 10_000;
/**
 * The status of an id that the server has not given out: it crashed before anything of the
 * transaction was on disk.
 */
const STATUS = `SELECT
    CASE WHEN $1::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) THEN 'aborted'
      ELSE pg_xact_status($1::xid8) END AS status,
  EXISTS (SELECT 1 FROM "_pylon_changes" WHERE id = $2 AND xid = $1::xid8) AS is_there`;

/**
 * What became of a transaction whose COMMIT was sent on a connection that broke. After a crash its
 * id may have been given to another one, so it counts as committed only when its change is there.
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
      // Not back yet: the pool waited for a while already.
    }
    await pause(platform, attempt);
  }
  return "unknown";
}
