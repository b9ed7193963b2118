import type { Database, Statement } from "bun:sqlite";
import type { QueryObserver } from "../../observe/query-observer.ts";
import { systemPlatform, type Platform } from "../../platform.ts";
import type { SqliteValue } from "./codec.ts";
import { storageFailure } from "./errors.ts";

const CAPACITY = 500;

/** A statement that SQLite has compiled. */
export type PreparedStatement = Statement<Record<string, SqliteValue>, SqliteValue[]>;

/** The prepared statements of one connection; the least recently used one is dropped first. */
export class StatementCache {
  readonly #database: Database;
  readonly #observer: QueryObserver | null;
  readonly #monotonic: Platform["monotonic"];
  readonly #onFailure: (error: unknown) => void;
  readonly #statements = new Map<string, PreparedStatement>();

  /** @param onFailure called with the error of SQLite when the disk or the file fails */
  constructor(
    database: Database,
    observer: QueryObserver | null = null,
    onFailure: (error: unknown) => void = () => undefined,
    { monotonic }: Platform = systemPlatform,
  ) {
    this.#monotonic = monotonic;
    this.#database = database;
    this.#observer = observer;
    this.#onFailure = onFailure;
  }

  /** All rows that a statement returns. */
  all(sql: string, params: readonly SqliteValue[]): Record<string, SqliteValue>[] {
    return this.#observed(sql, (statement) => statement.all(...params), countOf);
  }

  /**
   * The rows that a statement returns, up to and including the first one for which `isLast` is
   * true.
   */
  until(
    sql: string,
    params: readonly SqliteValue[],
    isLast: (row: Record<string, SqliteValue>) => boolean,
  ): Record<string, SqliteValue>[] {
    return this.#observed(sql, (statement) => readUntil(statement, params, isLast), countOf);
  }

  /** The first row that a statement returns, or null. */
  first(sql: string, params: readonly SqliteValue[]): Record<string, SqliteValue> | null {
    return this.#observed(
      sql,
      (statement) => statement.get(...params),
      (row) => (row === null ? 0 : 1),
    );
  }

  /** Runs a write statement. */
  run(sql: string, params: readonly SqliteValue[]): ReturnType<PreparedStatement["run"]> {
    return this.#observed(
      sql,
      (statement) => statement.run(...params),
      ({ changes }) => changes,
    );
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
    const [oldest] = this.#statements.size > CAPACITY ? this.#statements : [];
    if (oldest !== undefined) {
      this.#statements.delete(oldest[0]);
      oldest[1].finalize();
    }
    return statement;
  }

  #observed<T>(
    sql: string,
    run: (statement: PreparedStatement) => T,
    rowsOf: (result: T) => number,
  ): T {
    const startedAt = this.#observer === null ? 0 : this.#monotonic();
    try {
      const result = run(this.get(sql));
      this.#observer?.ran(sql, startedAt, rowsOf(result), false);
      return result;
    } catch (error) {
      this.#observer?.ran(sql, startedAt, 0, true);
      const failure = storageFailure(error);
      if (failure === null) throw error;
      this.#onFailure(error);
      throw failure;
    }
  }

  /** Finalizes all statements. A schema change makes every prepared statement invalid. */
  clear(): void {
    for (const statement of this.#statements.values()) statement.finalize();
    this.#statements.clear();
  }
}

function readUntil(
  statement: PreparedStatement,
  params: readonly SqliteValue[],
  isLast: (row: Record<string, SqliteValue>) => boolean,
): Record<string, SqliteValue>[] {
  const rows: Record<string, SqliteValue>[] = [];
  for (const row of statement.iterate(...params)) {
    rows.push(row);
    if (isLast(row)) break;
  }
  return rows;
}

function countOf(rows: readonly unknown[]): number {
  return rows.length;
}
