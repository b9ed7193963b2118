import { MAX_LOG_PAGE_BYTES } from "@pylonsync/protocol";
import { changeValues, numberOf, textOf } from "../answered-rows.ts";
import { RENEWED_LOG_OFFSET, type LogBounds, type NewChange, type Value } from "../store.ts";
import type { ColumnRow } from "./connection.ts";

/**
 * The number of unnumbered changes that one step numbers, plus the remaining ones of the last
 * transaction.
 */
const NUMBERED_PER_BATCH = 5000;

/** The channel of the notifications that wake listening replicas. */
export const CHANNEL = "pylon_changes";

/**
 * The change log, numbered in commit order.
 *
 * A sequence would number a change when it is written: 7 can commit after 8 was read, and a reader
 * that continued from 8 would never see 7. So a transaction writes its changes without a number,
 * and a step after its commit numbers them. Such steps are serialized by the lock on the only row
 * of `_pylon_log`, and each numbers the changes that it sees: later commits get greater numbers, so
 * no number ever appears below one that was read. An open transaction delays no other.
 *
 * Within one step the order is that of transaction ids. A transaction gets its id with its first
 * write, after its snapshot; one that depends on another sees it in that snapshot, so its id is
 * greater, and the order is one in which the changes could have happened.
 *
 * `numbered_below` only limits the search: all transactions below it had ended at the time of the
 * last step.
 */
export const CHANGE_LOG_DDL: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS "_pylon_log" (
     singleton BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (singleton),
     epoch TEXT NOT NULL,
     head BIGINT NOT NULL DEFAULT 0,
     floor BIGINT NOT NULL DEFAULT 0,
     numbered_below XID8 NOT NULL DEFAULT '0')`,
  `INSERT INTO "_pylon_log" (epoch) VALUES (gen_random_uuid()::text) ON CONFLICT DO NOTHING`,
  `CREATE TABLE IF NOT EXISTS "_pylon_changes" (
     id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     xid XID8 NOT NULL DEFAULT pg_current_xact_id(),
     seq BIGINT,
     entity TEXT NOT NULL,
     row_id TEXT NOT NULL,
     kind TEXT NOT NULL,
     before TEXT,
     after TEXT,
     at BIGINT NOT NULL)`,
  `CREATE UNIQUE INDEX IF NOT EXISTS "_pylon_changes_seq" ON "_pylon_changes" (seq)`,
  `CREATE INDEX IF NOT EXISTS "_pylon_changes_unnumbered" ON "_pylon_changes" (xid, id)
     WHERE seq IS NULL`,
  // Each statement of the function must see everything that was committed before it, including
  // commits while it waited for the lock.
  `CREATE OR REPLACE FUNCTION "_pylon_number_changes"() RETURNS VOID LANGUAGE plpgsql VOLATILE AS $$
   DECLARE
     log "_pylon_log";
     horizon XID8;
     numbered BIGINT;
   BEGIN
     IF current_setting('transaction_isolation') <> 'read committed' THEN
       RAISE EXCEPTION 'changes are numbered in READ COMMITTED only';
     END IF;
     IF NOT EXISTS (
       SELECT 1 FROM "_pylon_changes"
       WHERE seq IS NULL AND xid >= (SELECT numbered_below FROM "_pylon_log")
     ) THEN
       RETURN;
     END IF;
     SELECT * INTO log FROM "_pylon_log" FOR UPDATE;
     horizon := pg_snapshot_xmin(pg_current_snapshot());
     WITH last AS (
       SELECT xid FROM "_pylon_changes" WHERE seq IS NULL AND xid >= log.numbered_below
       ORDER BY xid, id LIMIT 1 OFFSET ${NUMBERED_PER_BATCH - 1}
     ), fresh AS (
       SELECT id, row_number() OVER (ORDER BY xid, id) AS place FROM "_pylon_changes"
       WHERE seq IS NULL AND xid >= log.numbered_below
         AND (NOT EXISTS (SELECT 1 FROM last) OR xid <= (SELECT xid FROM last))
     )
     UPDATE "_pylon_changes" AS change SET seq = log.head + fresh.place
       FROM fresh WHERE change.id = fresh.id;
     GET DIAGNOSTICS numbered = ROW_COUNT;
     IF numbered = 0 THEN
       RETURN;
     END IF;
     UPDATE "_pylon_log" SET head = log.head + numbered,
       numbered_below = CASE
         WHEN numbered < ${NUMBERED_PER_BATCH} THEN horizon ELSE log.numbered_below END;
     PERFORM pg_notify('${CHANNEL}', '');
   END $$`,
  `CREATE OR REPLACE FUNCTION "_pylon_log_bounds"()
   RETURNS TABLE (epoch TEXT, head BIGINT, floor BIGINT) LANGUAGE plpgsql VOLATILE AS $$
   BEGIN
     PERFORM "_pylon_number_changes"();
     RETURN QUERY SELECT log.epoch, log.head, log.floor FROM "_pylon_log" AS log;
   END $$`,
];

/** Reads changes, without numbering. */
export const READ = `SELECT seq, xid::text AS xid, entity, row_id, kind, before, after, at FROM (
    SELECT page.*, sum(size) OVER (ORDER BY seq) - size AS size_before FROM (
      SELECT seq, xid, entity, row_id, kind, before, after, at,
        coalesce(octet_length(before), 0) + coalesce(octet_length(after), 0) AS size
      FROM "_pylon_changes" WHERE seq > $1 ORDER BY seq LIMIT $2) AS page) AS page
  WHERE size_before < ${MAX_LOG_PAGE_BYTES} ORDER BY seq`;
/** Numbers the committed changes, and returns the bounds of the log. */
export const BOUNDS = `SELECT * FROM "_pylon_log_bounds"()`;
/**
 * Raises the floor first: from then on a reader below it must load a new snapshot. The newest
 * change is kept.
 */
export const RAISE_FLOOR = `UPDATE "_pylon_log" SET floor = GREATEST(floor, head - $1)
  RETURNING floor`;
/** Deletes some of the changes up to a number, the oldest first. */
export const TRIM = `DELETE FROM "_pylon_changes" WHERE seq IN (
  SELECT seq FROM "_pylon_changes" WHERE seq <= $1 ORDER BY seq LIMIT $2)`;

/**
 * See `Store.forgetDeleted`. Changes that another replica has already erased are not written again.
 */
export const FORGET_DELETED = `
  WITH gone AS (
    SELECT row_id, max(seq) AS last FROM "_pylon_changes"
    WHERE seq > $2 AND seq <= $3 AND entity = $1 AND kind = 'delete' GROUP BY row_id)
  UPDATE "_pylon_changes" AS change SET
    kind = 'delete',
    before = (coalesce(change.before, change.after)::jsonb - $4::text[])::text,
    after = NULL
  FROM gone WHERE change.entity = $1 AND change.row_id = gone.row_id AND change.seq <= gone.last
    AND (change.after IS NOT NULL OR change.before::jsonb ?| $4::text[])`;

/**
 * A database that was copied into another cluster starts again to count transactions, so the log's
 * transaction ids are invalid, too. All changes are deleted, including those without a number.
 */
export const RENEW_LOG = [
  `DELETE FROM "_pylon_changes"`,
  `UPDATE "_pylon_log" SET epoch = gen_random_uuid()::text,
     head = head + ${RENEWED_LOG_OFFSET}, floor = head + ${RENEWED_LOG_OFFSET},
     numbered_below = '0'`,
] as const;

const APPEND_ONE = `INSERT INTO "_pylon_changes" (entity, row_id, kind, before, after, at)
  VALUES ($1, $2, $3, $4, $5, $6) RETURNING id, xid::text AS xid`;
const APPEND_MANY = `INSERT INTO "_pylon_changes" (entity, row_id, kind, before, after, at)
  SELECT entity, row_id, kind, before, after, at
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
    WITH ORDINALITY AS change (entity, row_id, kind, before, after, at, place)
  ORDER BY place RETURNING id, xid::text AS xid`;

/**
 * The statement that appends the changes, in order, and returns the id of each and of the
 * transaction.
 */
export function appendStatement(changes: readonly NewChange[]): {
  readonly text: string;
  readonly params: readonly (Value | readonly Value[])[];
} {
  const rows: Value[][] = changes.map(changeValues);
  const [first] = rows;
  if (rows.length === 1 && first !== undefined) return { text: APPEND_ONE, params: first };
  return {
    text: APPEND_MANY,
    params: (first ?? []).map((_, column) => rows.map((row) => row[column] ?? null)),
  };
}

/** Converts the result of BOUNDS. */
export function toBounds(row: ColumnRow): LogBounds {
  return {
    epoch: textOf(row, "epoch"),
    head: numberOf(row, "head"),
    floor: numberOf(row, "floor"),
  };
}
