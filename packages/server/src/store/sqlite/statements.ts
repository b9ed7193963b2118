import type { Database, Statement } from "bun:sqlite";
import type { SqliteValue } from "./codec.ts";

const CAPACITY = 500;

export type PreparedStatement = Statement<Record<string, SqliteValue>, SqliteValue[]>;

/** The prepared statements of one connection, least recently used dropped first. */
export class StatementCache {
  readonly #database: Database;
  readonly #statements = new Map<string, PreparedStatement>();

  constructor(database: Database) {
    this.#database = database;
  }

  get(sql: string): PreparedStatement {
    const known = this.#statements.get(sql);
    if (known !== undefined) {
      if (this.#statements.size > CAPACITY / 2) {
        this.#statements.delete(sql);
        this.#statements.set(sql, known);
      }
      return known;
    }
    const statement = this.#database.prepare<Record<string, SqliteValue>, SqliteValue[]>(sql);
    this.#statements.set(sql, statement);
    if (this.#statements.size > CAPACITY) {
      const [oldest, evicted] = this.#statements.entries().next().value as [string, PreparedStatement];
      this.#statements.delete(oldest);
      evicted.finalize();
    }
    return statement;
  }

  /** A schema change makes every prepared statement stale. */
  clear(): void {
    for (const statement of this.#statements.values()) statement.finalize();
    this.#statements.clear();
  }
}
