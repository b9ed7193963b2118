import type { QueryPlan } from "../store.ts";

/** An automatic index is built for a single statement, from all rows. */
const SQLITE_SCAN = /^(?:SCAN (t\d*)\b|SEARCH (t\d*)\b.* USING AUTOMATIC )/;
/** A step that reads a table, by the alias that the compiler gave it. */
const POSTGRES_READ =
  /(Seq|Index|Index Only|Bitmap Heap) Scan(?: Backward)?(?: using \S+)? on .*\b(t\d*)$/;

/**
 * The plan reported by SQLite.
 *
 * @param steps the details of EXPLAIN QUERY PLAN
 */
export function sqlitePlan(sql: string, steps: readonly string[]): QueryPlan {
  const scanned = steps.map((step) => {
    const [, scan, search] = SQLITE_SCAN.exec(step) ?? [];
    return scan ?? search;
  });
  return { sql, steps, scans: tablesOf(sql, scanned) };
}

/**
 * The plan reported by Postgres.
 *
 * @param lines of EXPLAIN (COSTS OFF)
 */
export function postgresPlan(sql: string, lines: readonly string[]): QueryPlan {
  const scanned = lines.map((line, at) => {
    const [, how, alias] = POSTGRES_READ.exec(line.trimEnd()) ?? [];
    if (how === undefined || how === "Bitmap Heap") return undefined;
    // An index without a condition is read from its beginning, so it does not lead to the rows.
    return how === "Seq" || !hasIndexCondition(lines, at) ? alias : undefined;
  });
  return { sql, steps: lines, scans: tablesOf(sql, scanned) };
}

/** Whether the step at `at` has an index condition, in one of the lines before the next step. */
function hasIndexCondition(lines: readonly string[], at: number): boolean {
  for (const line of lines.slice(at + 1)) {
    if (line.includes("->")) return false;
    if (line.trimStart().startsWith("Index Cond:")) return true;
  }
  return false;
}

function tablesOf(sql: string, aliases: readonly (string | undefined)[]): string[] {
  const tables = new Map(
    [...sql.matchAll(/FROM "([^"]+)" AS (t\d*)\b/g)].map(([, table = "", alias]) => [alias, table]),
  );
  return [...new Set(aliases.flatMap((alias) => tables.get(alias) ?? []))];
}
