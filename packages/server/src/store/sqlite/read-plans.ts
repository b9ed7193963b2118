import type { Database } from "bun:sqlite";
import type { Index, IndexesOf } from "./bounded-reads.ts";

const MAX_PLANS = 500;
const INDEXES = `SELECT list.name AS "index", list."unique" AS isUnique, info.name AS "column"
  FROM pragma_index_list(?) AS list JOIN pragma_index_info(list.name) AS info
  ORDER BY list.seq, info.seqno`;
/** Steps of a plan that lead directly to the rows. */
const DIRECT = /^(?:SEARCH |SCAN CONSTANT ROW$|(?:CORRELATED )?SCALAR SUBQUERY )/;
/** Without a condition, a table is read from its beginning up to the limit. */
const IN_ORDER = "SCAN t";

/** SQLite's information about the tables, and its plans for statements on them. */
export class ReadPlans {
  readonly #database: Database;
  readonly #indexes = new Map<string, readonly Index[]>();
  readonly #areDirect = new Map<string, boolean>();

  constructor(database: Database) {
    this.#database = database;
  }

  readonly #indexesOf: IndexesOf = (table) => {
    let indexes = this.#indexes.get(table);
    if (indexes === undefined) {
      indexes = this.#readIndexes(table);
      this.#indexes.set(table, indexes);
    }
    return indexes;
  };

  /**
   * Whether a read is guaranteed to be short.
   *
   * @param isBounded checks its tree with the indexes
   */
  isShort(text: string, isBounded: (indexesOf: IndexesOf) => boolean): boolean {
    return isBounded(this.#indexesOf) && this.#isDirect(text);
  }

  /**
   * SQLite might choose another index than the check of the tree assumed, and sort all matching
   * rows.
   */
  #isDirect(text: string): boolean {
    let isDirect = this.#areDirect.get(text);
    if (isDirect === undefined) {
      if (this.#areDirect.size >= MAX_PLANS) this.#areDirect.clear();
      isDirect = this.#explain(text);
      this.#areDirect.set(text, isDirect);
    }
    return isDirect;
  }

  /** Must be called when the schema has changed, outside of a transaction. */
  clear(): void {
    this.#indexes.clear();
    this.#areDirect.clear();
    // A connection learns of a change by another one when it runs a statement, and plans until then
    // with the schema that it has read before.
    this.#database.run("SELECT 1 FROM sqlite_schema LIMIT 1");
  }

  /** The steps of SQLite's plan for a statement. */
  stepsOf(text: string): string[] {
    const statement = this.#database.prepare<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${text}`);
    try {
      return statement.all().map(({ detail }) => detail);
    } finally {
      // A statement that stays open might hold the database's current state for all later reads.
      statement.finalize();
    }
  }

  #explain(text: string): boolean {
    const steps = this.stepsOf(text);
    if (steps.length === 1 && steps[0] === IN_ORDER) return !text.includes(" WHERE ");
    return steps.every((step) => DIRECT.test(step));
  }

  #readIndexes(table: string): Index[] {
    const columns = new Map<string, { readonly isUnique: boolean; readonly columns: string[] }>();
    const statement = this.#database.prepare<
      { index: string; isUnique: number; column: string },
      [string]
    >(INDEXES);
    try {
      for (const { index, isUnique, column } of statement.all(table)) {
        const known = columns.get(index);
        if (known === undefined)
          columns.set(index, { isUnique: isUnique === 1, columns: [column] });
        else known.columns.push(column);
      }
    } finally {
      statement.finalize();
    }
    return [...columns.values()];
  }
}
