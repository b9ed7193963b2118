import { PylonError } from "@pylonsync/protocol";
import type { Expr } from "@pylonsync/query";
import type { ClientBase } from "pg";
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
import { type ColumnRow, type StatementRunner } from "./connection.ts";
import { quote } from "../sql/quote.ts";
import { uniqueViolation } from "../unique-violation.ts";
import type { DeferredInserts } from "./deferred-inserts.ts";
import type { DeferredUpdates } from "./deferred-updates.ts";
import { isRetryable, translateError } from "./errors.ts";
import { insertManyStatement, insertStatement, updateManyStatement } from "./many-rows.ts";
import { PostgresReader, type TableSet } from "./postgres-reader.ts";
import type { HeldRows } from "./row-locks.ts";
import type { UniqueIndexes } from "./unique-indexes.ts";

/**
 * The maximum number of changes per statement: their texts are in memory several times during it.
 */
const APPENDED_AT_ONCE = 2_000;

/** Identifies a transaction after its end: the first change that it appended. */
export interface TransactionMark {
  readonly xid: string;
  readonly changeId: number;
}

/**
 * One attempt of a piece of work, on its own connection. Unusable after `end()`.
 *
 * Postgres aborts a transaction at the first statement that fails, so an error that a handler may
 * catch (a value that is taken) is detected without a failing statement; after any other failure
 * every call fails, and so does the commit.
 */
export class PostgresTransaction implements Transaction {
  readonly #client: ClientBase;
  readonly #statements: StatementRunner;
  readonly #tables: TableSet;
  readonly #unique: UniqueIndexes;
  readonly #rows: HeldRows;
  readonly #inserts: DeferredInserts;
  readonly #deferred: DeferredUpdates;
  readonly #reader: PostgresReader;
  readonly #changes: NewChange[];
  #ended: Error | null = null;
  #failure: { readonly error: unknown } | null = null;
  /** Steps with several statements must not be interleaved with others of the same transaction. */
  readonly #line = new SerialQueue();
  #hasWritten = false;
  #hasSent = false;
  #running = 0;
  /** The row of the latest write; null if that was for any number of rows. */
  #target: string | null = null;

  constructor(
    client: ClientBase,
    statements: StatementRunner,
    tables: TableSet,
    unique: UniqueIndexes,
    rows: HeldRows,
    inserts: DeferredInserts,
    deferred: DeferredUpdates,
    changes: NewChange[],
  ) {
    this.#client = client;
    this.#changes = changes;
    this.#inserts = inserts;
    this.#deferred = deferred;
    this.#rows = rows;
    this.#statements = statements;
    this.#tables = tables;
    this.#unique = unique;
    this.#reader = new PostgresReader(
      (text, params) => this.#line.run(() => this.#run(text, params).then(({ rows }) => rows)),
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
    return this.#line.settled();
  }

  /**
   * Writes the change records of all work that shared the transaction, after the last piece has
   * ended.
   *
   * @returns the transaction's mark, or null if it changed nothing
   */
  async flush(): Promise<TransactionMark | null> {
    let mark: TransactionMark | null = null;
    for (const changes of chunk(this.#changes, APPENDED_AT_ONCE)) {
      const { text, params } = appendStatement(changes);
      const [first] = (await this.#statements.run(this.#client, text, params)).rows;
      mark ??= { xid: String(first?.["xid"]), changeId: Number(first?.["id"]) };
    }
    return mark;
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
    return this.#line.run(async () => {
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
    this.#inserts.add(entity, row);
    if (this.#inserts.isFull) await this.writeInserts();
  }

  /** Writes the rows that wait to be inserted. */
  writeInserts(): Promise<void> {
    return this.#line.run(() => this.#writeInserts());
  }

  insertMany(entity: string, rows: readonly StoredRow[]): Promise<void> {
    if (rows.length === 0) return Promise.resolve();
    const { text, params } = insertManyStatement(this.#tables.shape(entity), rows);
    return this.#line.run(async () => {
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
    return this.#line.run(async () => {
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
    this.#deferred.add({ entity, update, refuse });
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
    return this.#line.run(async () => {
      this.#claim(rowKey(entity, id));
      if (this.#unique.touchedBy(entity, names).length > 0)
        await this.#refuseTaken(entity, id, patch);
      const { rowCount } = await this.#run(text, params);
      this.#hasWritten = true;
      return (rowCount ?? 0) > 0;
    });
  }

  delete(entity: string, id: string): Promise<boolean> {
    return this.#line.run(async () => {
      this.#claim(rowKey(entity, id));
      return (await this.#write(`DELETE FROM ${quote(entity)} WHERE id = $1`, [id])) > 0;
    });
  }

  deleteWhere(entity: string, where: Expr): Promise<number> {
    const { text, params } = compileDelete(entity, where, this.#tables.shapes, postgres);
    return this.#line.run(() => {
      this.#target = null;
      return this.#write(text, params);
    });
  }

  async append(change: NewChange): Promise<void> {
    this.#alive();
    this.#changes.push(change);
  }

  async attempt<T>(part: () => Promise<T>): Promise<T> {
    const changesBefore = this.#changes.length;
    await this.#line.run(() => this.#run("SAVEPOINT attempt", []));
    try {
      const result = await part();
      await this.#line.run(() => this.#run("RELEASE attempt", []));
      return result;
    } catch (error) {
      this.#inserts.truncate(0);
      if (this.#failure !== null && !isRetryable(this.#failure.error)) this.#failure = null;
      await this.#line.run(() => this.#run("ROLLBACK TO attempt; RELEASE attempt", []));
      this.#changes.length = changesBefore;
      throw translateError(error);
    }
  }

  async #write(text: string, params: readonly (Value | readonly Value[])[]): Promise<number> {
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

  async #run(
    text: string,
    params: readonly (Value | readonly Value[])[],
  ): Promise<{ readonly rows: ColumnRow[]; readonly rowCount: number | null }> {
    await this.#writeInserts();
    return this.#send(text, params);
  }

  /** What waits to be inserted was inserted before the next statement, which may read it. */
  async #writeInserts(): Promise<void> {
    if (this.#inserts.size === 0) return;
    this.#alive();
    this.#hasWritten = true;
    for (const group of this.#inserts.takeAll()) {
      const [first, ...others] = group;
      if (first === undefined) continue;
      const { entity, row } = first;
      const { text, params } =
        others.length === 0
          ? insertStatement(entity, row)
          : insertManyStatement(
              this.#tables.shape(entity),
              group.map((one) => one.row),
            );
      const { rowCount } = await this.#send(text, params);
      if (rowCount === group.length) continue;
      const error = new PylonError("ID_TAKEN", "A row with one of these ids already exists.");
      this.#failure ??= { error };
      throw error;
    }
  }

  async #send(
    text: string,
    params: readonly (Value | readonly Value[])[],
  ): Promise<{ readonly rows: ColumnRow[]; readonly rowCount: number | null }> {
    this.#alive();
    this.#hasSent = true;
    this.#running += 1;
    try {
      if (params.length === 0) return await this.#statements.runPlain(this.#client, text);
      return await this.#statements.run(this.#client, text, params);
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    } finally {
      this.#running -= 1;
    }
  }

  /**
   * Another transaction of this process that is writing the row goes first: waiting for it in the
   * database would occupy a connection, only to fail when it commits.
   */
  #claim(key: string): void {
    this.#alive();
    this.#target = key;
    try {
      this.#rows.claim(key);
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
