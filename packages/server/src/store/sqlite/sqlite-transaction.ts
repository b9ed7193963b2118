import type { Expr } from "@pylonsync/query";
import { compileDelete, sqlite } from "../sql/index.ts";
import type {
  Aggregate,
  ChangeRecord,
  NewChange,
  RowPlace,
  RowUpdate,
  Found,
  SearchSelect,
  Select,
  StoredRow,
  Transaction,
  Value,
} from "../store.ts";
import { appendChange } from "./change-log.ts";
import { encode } from "./codec.ts";
import { quote } from "../sql/quote.ts";
import { translateError } from "./errors.ts";
import type { SqliteReader, TableSet } from "./sqlite-reader.ts";
import type { StatementCache } from "./statements.ts";

/** One piece of work inside the writer's open transaction. Unusable after `end()`. */
export class SqliteTransaction implements Transaction {
  readonly changes: ChangeRecord[] = [];
  readonly #statements: StatementCache;
  readonly #reader: SqliteReader;
  readonly #tables: TableSet;
  #ended: (() => Error) | null = null;

  constructor(statements: StatementCache, reader: SqliteReader, tables: TableSet) {
    this.#statements = statements;
    this.#reader = reader;
    this.#tables = tables;
  }

  /**
   * Ends the transaction. Later calls reject: a handler that continues after its time is up must
   * not write into the next transaction.
   *
   * @param reason creates the error of later calls, which most transactions never need
   */
  end(reason: () => Error): void {
    this.#ended ??= reason;
  }

  async get(entity: string, id: string): Promise<StoredRow | null> {
    this.#alive();
    return this.#reader.get(entity, id);
  }
  async select(query: Select): Promise<StoredRow[]> {
    this.#alive();
    return this.#reader.select(query);
  }
  async search(query: SearchSelect): Promise<Found> {
    this.#alive();
    return this.#reader.search(query);
  }
  async count(entity: string, where?: Expr): Promise<number> {
    this.#alive();
    return this.#reader.count(entity, where);
  }
  async aggregate(spec: Aggregate): Promise<Record<string, Value>[]> {
    this.#alive();
    return this.#reader.aggregate(spec);
  }
  async test(expr: Expr): Promise<boolean> {
    this.#alive();
    return this.#reader.test(expr);
  }

  async insert(entity: string, row: StoredRow): Promise<void> {
    const table = this.#tables.table(entity);
    this.#run(table.insert(Object.keys(row)), Object.values(table.encode(row)));
  }

  insertNew(entity: string, row: StoredRow): Promise<void> {
    return this.insert(entity, row);
  }

  async insertMany(entity: string, rows: readonly StoredRow[]): Promise<void> {
    for (const row of rows) await this.insert(entity, row);
  }

  async updateMany(
    entity: string,
    updates: readonly RowUpdate[],
  ): Promise<ReadonlyMap<string, RowPlace>> {
    const updated = new Map<string, RowPlace>();
    const { encode: stored } = this.#tables.table(entity);
    for (const { id, patch, expected = {} } of updates) {
      const sets = Object.keys(patch).map((name) => `${quote(name)} = ?`);
      const conditions = ["id", ...Object.keys(expected)].map((name) => `${quote(name)} = ?`);
      const text = `UPDATE ${quote(entity)} SET ${sets.join(", ")}`;
      const where = ` WHERE ${conditions.join(" AND ")}`;
      const params = [...Object.values(stored(patch)), id, ...Object.values(stored(expected))];
      if (this.#run(text + where, params) > 0) updated.set(id, null);
    }
    return updated;
  }

  async updateAtEnd(entity: string, update: RowUpdate, refuse: () => Error): Promise<void> {
    if ((await this.updateMany(entity, [update])).size === 0) throw refuse();
  }

  async update(
    entity: string,
    id: string,
    patch: Readonly<Record<string, Value>>,
  ): Promise<boolean> {
    const names = Object.keys(patch);
    if (names.length === 0) return (await this.get(entity, id)) !== null;
    const sets = names.map((name) => `${quote(name)} = ?`).join(", ");
    const values = Object.values(this.#tables.table(entity).encode(patch));
    return this.#run(`UPDATE ${quote(entity)} SET ${sets} WHERE id = ?`, [...values, id]) > 0;
  }

  async delete(entity: string, id: string): Promise<boolean> {
    return this.#run(`DELETE FROM ${quote(entity)} WHERE id = ?`, [id]) > 0;
  }

  async deleteWhere(entity: string, where: Expr): Promise<number> {
    const { text, params } = compileDelete(entity, where, this.#tables.shapes, sqlite);
    return this.#run(text, params);
  }

  async append(change: NewChange): Promise<void> {
    this.#alive();
    this.changes.push(appendChange(this.#statements, change));
  }

  async attempt<T>(part: () => Promise<T>): Promise<T> {
    const changesBefore = this.changes.length;
    this.#run("SAVEPOINT attempt", []);
    try {
      const result = await part();
      this.#run("RELEASE attempt", []);
      return result;
    } catch (error) {
      this.#run("ROLLBACK TO attempt", []);
      this.#run("RELEASE attempt", []);
      this.changes.length = changesBefore;
      throw error;
    }
  }

  #run(text: string, params: readonly Value[]): number {
    this.#alive();
    try {
      return this.#statements.run(text, params.map(encode)).changes;
    } catch (error) {
      throw translateError(error);
    }
  }

  #alive(): void {
    if (this.#ended !== null) throw this.#ended();
  }
}
