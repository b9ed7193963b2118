import { MAX_LOG_PAGE_BYTES } from "@pylonsync/protocol";
import { changeValues, toChange } from "../answered-rows.ts";
import { RENEWED_LOG_OFFSET, type ChangeRecord, type LogBounds, type NewChange } from "../store.ts";
import type { SqliteValue } from "./codec.ts";
import type { StatementCache } from "./statements.ts";

const APPEND = `INSERT INTO "_pylon_changes" (entity, row_id, kind, before, after, at)
  VALUES (?, ?, ?, ?, ?, ?)`;
const AFTER = `SELECT seq, entity, row_id, kind, before, after, at FROM "_pylon_changes"
  WHERE seq > ? ORDER BY seq LIMIT ?`;
/**
 * Two selects, each of which reads one end of the log; with a single select SQLite scans all of it.
 */
const BOUNDS = `SELECT (SELECT min(seq) FROM "_pylon_changes") AS oldest,
  (SELECT max(seq) FROM "_pylon_changes") AS head`;
const TRIM = `DELETE FROM "_pylon_changes"
  WHERE seq <= (SELECT max(seq) FROM "_pylon_changes") - ?`;

const FORGET_ALL_BUT_NEWEST = `DELETE FROM "_pylon_changes"
  WHERE seq < (SELECT max(seq) FROM "_pylon_changes")`;
const MOVE_ON = `UPDATE "_pylon_changes" SET seq = seq + ?`;

/**
 * Appends a change. SQLite assigns the next number in the only writer, so numbers follow the order
 * of commits, and a rolled back number is used again. The newest change is never trimmed, because
 * the numbering continues from it.
 */
export function appendChange(statements: StatementCache, change: NewChange): ChangeRecord {
  const { lastInsertRowid } = statements.run(APPEND, changeValues(change));
  return { ...change, seq: Number(lastInsertRowid) };
}

/** See `Store.changes`. */
export function changesAfter(
  statements: StatementCache,
  seq: number,
  limit: number,
): ChangeRecord[] {
  let size = 0;
  const isLast = ({ before, after }: Record<string, SqliteValue>): boolean =>
    (size += lengthOf(before) + lengthOf(after)) >= MAX_LOG_PAGE_BYTES;
  return statements.until(AFTER, [seq, limit], isLast).map(toChange);
}

/**
 * See `Store.bounds`.
 *
 * @param epoch of the log
 */
export function logBounds(statements: StatementCache, epoch: string): LogBounds {
  const row = statements.first(BOUNDS, []);
  const head = Number(row?.["head"] ?? 0);
  return { epoch, head, floor: head === 0 ? 0 : Number(row?.["oldest"]) - 1 };
}

/** See `Store.trimLog`. */
export function trimChanges(statements: StatementCache, keep: number): void {
  statements.run(TRIM, [Math.max(1, keep)]);
}

/** See `Store.forgetDeleted`. */
export function forgetDeletedRows(
  statements: StatementCache,
  entity: string,
  fields: readonly string[],
  after: number,
): number {
  const head = Number(statements.first(BOUNDS, [])?.["head"] ?? 0);
  const paths = fields.map((name) => `$.${JSON.stringify(name)}`);
  statements.run(forgetDeletedSql(paths.length), [entity, after, head, ...paths]);
  return head;
}

function forgetDeletedSql(fieldCount: number): string {
  const paths = Array.from({ length: fieldCount }, (_, index) => `, ?${index + 4}`).join("");
  return `WITH gone AS MATERIALIZED (
      SELECT row_id, max(seq) AS last FROM "_pylon_changes"
      WHERE seq > ?2 AND seq <= ?3 AND entity = ?1 AND kind = 'delete' GROUP BY row_id)
    UPDATE "_pylon_changes" AS change SET
      kind = 'delete',
      before = json_remove(coalesce(change.before, change.after)${paths}),
      after = NULL
    FROM gone WHERE change.entity = ?1 AND change.row_id = gone.row_id AND change.seq <= gone.last`;
}

/** Keeps only the newest change of the old log, from whose new number the numbering continues. */
export function skipLogNumbers(statements: StatementCache): void {
  statements.run(FORGET_ALL_BUT_NEWEST, []);
  statements.run(MOVE_ON, [RENEWED_LOG_OFFSET]);
}

function lengthOf(text: SqliteValue | undefined): number {
  return typeof text === "string" ? text.length : 0;
}
