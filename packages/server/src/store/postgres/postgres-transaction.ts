import { PylonError } from "@pylonsync/protocol";
import type { Expr } from "@pylonsync/query";
import { chunk } from "../../util/chunk.ts";
import { SerialQueue } from "../../util/serial-queue.ts";
import { compileDelete, postgres } from "../sql/index.ts";
import type {
  Aggregate,
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
import { appendStatement } from "./change-log.ts";
import { encode } from "./codec.ts";
import type { StatementRunner } from "./connection.ts";
import type { Parameter } from "./parameters.ts";
import type { Statement, StatementResult } from "./statement-batch.ts";
import { quote } from "../sql/quote.ts";
import { uniqueViolation } from "../unique-violation.ts";
import { isRetryable, translateError } from "./errors.ts";
import {
  insertManyNewStatement,
  insertManyStatement,
  insertNewStatement,
  insertStatement,
  updateManyStatement,
} from "./many-rows.ts";
import type { DeferredInsert } from "./deferred-inserts.ts";
import type { OpenTransaction } from "./open-transaction.ts";
import { PostgresReader, type TableSet } from "./postgres-reader.ts";
import type { UniqueIndexes } from "./unique-indexes.ts";

/**
 * The maximum number of changes per statement: their texts are in memory several times during it.
 */
const APPENDED_AT_ONCE = 2_000;

/** Undoes a part that failed, with all that it has written. */
const UNDO_ATTEMPT: readonly Statement[] = ["ROLLBACK TO attempt", "RELEASE attempt"].map(
  (text) => ({ text, params: [] }),
);
const NO_RESULT: StatementResult = { rows: [], rowCount: null };

/** A statement that may have to succeed in a certain way. */
interface CheckedStatement extends Statement {
  /** @throws the error for which the transaction can't be committed */
  readonly check?: (result: StatementResult) => void;
}

/**
 * One attempt of a piece of work, on its own connection. Unusable after `end()`.
 *
 * Postgres aborts a transaction at the first statement that fails, so an error that a handler may
 * catch (a value that is taken) is detected without a failing statement; after any other failure
 * every call fails, and so does the commit.
 */
export class PostgresTransaction implements Transaction {
  readonly #open: OpenTransaction;
  readonly #statements: StatementRunner;
  readonly #tables: TableSet;
  readonly #unique: UniqueIndexes;
  readonly #reader: PostgresReader;
  #ended: Error | null = null;
  #failure: { readonly error: unknown } | null = null;
  /** Steps with several statements must not be interleaved with others of the same transaction. */
  readonly #queue = new SerialQueue();
  #hasWritten = false;
  #hasSent = false;
  #running = 0;
  /** Statements that are sent together with the next one. */
  readonly #withNext: CheckedStatement[] = [];
  /** The row of the latest write; null if that was for any number of rows. */
  #target: string | null = null;

  constructor(
    open: OpenTransaction,
    statements: StatementRunner,
    tables: TableSet,
    unique: UniqueIndexes,
  ) {
    this.#open = open;
    this.#statements = statements;
    this.#tables = tables;
    this.#unique = unique;
    this.#reader = new PostgresReader(
      (text, params) => this.#queue.run(() => this.#run(text, params).then(({ rows }) => rows)),
      () => tables,
    );
  }

  /** The error that made the transaction unusable, if any. */
  get failure(): { readonly error: unknown } | null {
    return this.#failure;
  }

  get hasWritten(): boolean {
    return this.#hasWritten;
  }

  /** Whether a statement was sent to the server. */
  get hasSent(): boolean {
    return this.#hasSent;
  }

  /** A statement is under way. */
  get isRunning(): boolean {
    return this.#running > 0;
  }

  /** The row of the latest write, if that was for a single row. */
  get target(): string | null {
    return this.#target;
  }

  /**
   * From now on every call rejects with `reason`: a handler that continues after its end must not
   * write into another transaction.
   */
  end(reason: Error): void {
    this.#ended ??= reason;
  }

  /** Waits for the running statements. */
  settled(): Promise<void> {
    return this.#queue.settled();
  }

  /**
   * Writes what was deferred to the end of the transaction, after the last piece of work that
   * shared it has ended: new rows, updates and change records.
   *
   * @throws the error of the first deferred update whose row is not as expected
   */
  async finish(): Promise<void> {
    const { changes, deferred, inserts } = this.#open;
    const appends = chunk(changes, APPENDED_AT_ONCE).map((part) => this.#append(part));
    const last = appends.pop();
    for (const append of appends) await this.#queue.run(() => this.#send([append]));
    if (last !== undefined) this.#withNext.push(last);
    await deferred.run(this);
    if (this.#withNext.length > 0 || inserts.size > 0) await this.#queue.run(() => this.#send([]));
  }

  get(entity: string, id: string): Promise<StoredRow | null> {
    return this.#reader.get(entity, id);
  }
  select(query: Select): Promise<StoredRow[]> {
    return this.#reader.select(query);
  }
  search(query: SearchSelect): Promise<Found> {
    return this.#reader.search(query);
  }
  count(entity: string, where?: Expr): Promise<number> {
    return this.#reader.count(entity, where);
  }
  aggregate(spec: Aggregate): Promise<Record<string, Value>[]> {
    return this.#reader.aggregate(spec);
  }
  test(expr: Expr): Promise<boolean> {
    return this.#reader.test(expr);
  }

  insert(entity: string, row: StoredRow): Promise<void> {
    const { text, params } = insertStatement(entity, row);
    return this.#queue.run(async () => {
      this.#claim(rowKey(entity, row.id));
      const { rowCount } = await this.#run(text, params);
      this.#hasWritten = true;
      if (rowCount === 0) throw await this.#refusalOf(entity, row);
    });
  }

  async insertNew(entity: string, row: StoredRow): Promise<void> {
    // A handler may catch that a value is taken, so it has to be known immediately.
    if (this.#unique.of(entity).length > 0) return this.insert(entity, row);
    this.#alive();
    const { inserts } = this.#open;
    inserts.add(entity, row);
    if (inserts.isFull) await this.#queue.run(() => this.#send([]));
  }

  insertMany(entity: string, rows: readonly StoredRow[]): Promise<void> {
    if (rows.length === 0) return Promise.resolve();
    const { text, params } = insertManyStatement(this.#tables.shape(entity), rows);
    return this.#queue.run(async () => {
      for (const { id } of rows) this.#claim(rowKey(entity, id));
      if ((await this.#write(text, params)) === rows.length) return;
      // Some rows were inserted: if the work catches the error, they must not be committed.
      const error = new PylonError("ID_TAKEN", "A row with one of these ids already exists.");
      this.#failure ??= { error };
      throw error;
    });
  }

  updateMany(
    entity: string,
    updates: readonly RowUpdate[],
  ): Promise<ReadonlyMap<string, RowPlace>> {
    const shape = this.#tables.shape(entity);
    const updated = new Map<string, RowPlace>();
    const update = async (part: readonly RowUpdate[], how: "by-place" | "by-id") => {
      if (part.length === 0) return;
      const { text, params } = updateManyStatement(shape, part, how);
      const { rows } = await this.#run(text, params);
      for (const { id, place } of rows) updated.set(String(id), String(place));
    };
    return this.#queue.run(async () => {
      for (const { id } of updates) this.#claim(rowKey(entity, id));
      this.#hasWritten = true;
      const isPlaced = ({ place = null }: RowUpdate): boolean => place !== null;
      await update(updates.filter(isPlaced), "by-place");
      // A place is a hint: a row that was updated in the meantime has moved.
      await update(
        updates.filter(({ id }) => !updated.has(id)),
        "by-id",
      );
      return updated;
    });
  }

  async updateAtEnd(entity: string, update: RowUpdate, refuse: () => Error): Promise<void> {
    this.#alive();
    this.#open.deferred.add({ entity, update, refuse });
  }

  async update(
    entity: string,
    id: string,
    patch: Readonly<Record<string, Value>>,
  ): Promise<boolean> {
    const names = Object.keys(patch);
    if (names.length === 0) return (await this.get(entity, id)) !== null;
    const sets = names.map((name, index) => `${quote(name)} = $${index + 1}`).join(", ");
    const text = `UPDATE ${quote(entity)} SET ${sets} WHERE id = $${names.length + 1}`;
    const params = [...Object.values(patch).map(encode), id];
    return this.#queue.run(async () => {
      this.#claim(rowKey(entity, id));
      if (this.#unique.touchedBy(entity, names).length > 0)
        await this.#refuseTaken(entity, id, patch);
      const { rowCount } = await this.#run(text, params);
      this.#hasWritten = true;
      return (rowCount ?? 0) > 0;
    });
  }

  delete(entity: string, id: string): Promise<boolean> {
    return this.#queue.run(async () => {
      this.#claim(rowKey(entity, id));
      return (await this.#write(`DELETE FROM ${quote(entity)} WHERE id = $1`, [id])) > 0;
    });
  }

  deleteWhere(entity: string, where: Expr): Promise<number> {
    const { text, params } = compileDelete(entity, where, this.#tables.shapes, postgres);
    return this.#queue.run(() => {
      this.#target = null;
      return this.#write(text, params);
    });
  }

  async append(change: NewChange): Promise<void> {
    this.#alive();
    this.#open.changes.push(change);
  }

  async attempt<T>(part: () => Promise<T>): Promise<T> {
    const { changes, inserts } = this.#open;
    const changesBefore = changes.length;
    await this.#queue.run(() => this.#run("SAVEPOINT attempt", []));
    try {
      const result = await part();
      await this.#queue.run(() => this.#run("RELEASE attempt", []));
      return result;
    } catch (error) {
      inserts.truncate(0);
      if (this.#failure !== null && !isRetryable(this.#failure.error)) this.#failure = null;
      await this.#queue.run(() => this.#send(UNDO_ATTEMPT));
      changes.length = changesBefore;
      throw translateError(error);
    }
  }

  async #write(text: string, params: readonly Parameter[]): Promise<number> {
    const { rowCount } = await this.#run(text, params);
    this.#hasWritten = true;
    return rowCount ?? 0;
  }

  /** The error for a row that could not be inserted because of another row. */
  async #refusalOf(entity: string, row: StoredRow): Promise<unknown> {
    const { rows } = await this.#run(this.#tables.getStatement(entity), [row.id]);
    if (rows.length > 0)
      return new PylonError("ID_TAKEN", "A row with this id already exists.", {
        field: "id",
        hint: "Omit the id so that one is generated, or choose another.",
      });
    const taken = await this.#takenIndex(entity, null, row);
    return uniqueViolation(taken ?? []);
  }

  /**
   * A unique index that rejects a value would end the transaction, so it is queried beforehand; a
   * write of another transaction in between is a conflict, after which the work runs again.
   */
  async #refuseTaken(
    entity: string,
    id: string,
    patch: Readonly<Record<string, Value>>,
  ): Promise<void> {
    const { rows } = await this.#run(this.#tables.getStatement(entity), [id]);
    const [before] = rows;
    if (before === undefined) return;
    const taken = await this.#takenIndex(entity, id, { ...before, ...patch });
    if (taken !== undefined) throw uniqueViolation(taken);
  }

  /** The fields of the unique index in which another row has the same values. */
  async #takenIndex(
    entity: string,
    ownId: string | null,
    row: Readonly<Record<string, Value>>,
  ): Promise<readonly string[] | undefined> {
    for (const fields of this.#unique.of(entity)) {
      const values = fields.map((field) => row[field] ?? null);
      if (values.includes(null)) continue;
      const same = fields.map((field, index) => `${quote(field)} = $${index + 2}`).join(" AND ");
      const { rows } = await this.#run(
        `SELECT 1 AS found FROM ${quote(entity)}
           WHERE ($1::text IS NULL OR id <> $1) AND ${same} LIMIT 1`,
        [ownId, ...values],
      );
      if (rows.length > 0) return fields;
    }
    return undefined;
  }

  #run(text: string, params: readonly Parameter[]): Promise<StatementResult> {
    return this.#send([{ text, params }]);
  }

  /**
   * Sends statements, together with those that wait for the next one: what waits to be inserted was
   * inserted before the next statement, which may read it.
   *
   * @returns the result of the last one
   */
  async #send(statements: readonly CheckedStatement[]): Promise<StatementResult> {
    this.#alive();
    const waiting = [...this.#withNext.splice(0), ...this.#newRows()];
    const all: CheckedStatement[] = [...this.#open.begin(), ...waiting, ...statements];
    this.#hasSent = true;
    this.#running += 1;
    try {
      const results = await this.#statements.runBatch(this.#open.lease.client, all);
      for (const [index, result] of results.entries()) all[index]?.check?.(result);
      return results.at(-1) ?? NO_RESULT;
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    } finally {
      this.#running -= 1;
    }
  }

  /** The statements that insert the rows that wait for it. */
  #newRows(): Statement[] {
    const { inserts } = this.#open;
    if (inserts.size === 0) return [];
    this.#hasWritten = true;
    return inserts.takeAll().map((group) => this.#insertOf(group));
  }

  #insertOf(group: readonly DeferredInsert[]): Statement {
    const [first, ...others] = group;
    if (first !== undefined && others.length === 0)
      return insertNewStatement(first.entity, first.row);
    return insertManyNewStatement(
      this.#tables.shape(first?.entity ?? ""),
      group.map(({ row }) => row),
    );
  }

  /** The statement that appends changes to the log. */
  #append(changes: readonly NewChange[]): CheckedStatement {
    this.#hasWritten = true;
    return {
      ...appendStatement(changes),
      check: ({ rows: [first] }) => {
        this.#open.mark ??= { xid: String(first?.["xid"]), changeId: Number(first?.["id"]) };
      },
    };
  }

  /**
   * Another transaction of this process that is writing the row goes first: waiting for it in the
   * database would occupy a connection, only to fail when it commits.
   */
  #claim(key: string): void {
    this.#alive();
    this.#target = key;
    try {
      this.#open.rows.claim(key);
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    }
  }

  #alive(): void {
    if (this.#ended !== null) throw this.#ended;
    if (this.#failure !== null) throw this.#failure.error;
  }
}

function rowKey(entity: string, id: string): string {
  return `${entity} ${id}`;
}
