import { SQLiteError } from "bun:sqlite";
import type { Expr, SchemaShape } from "@pylonsync/query";
import {
  compileAggregate,
  compileSelect,
  compileTest,
  compileCount,
  sqlite,
} from "../sql/index.ts";
import { outOfRange } from "../number-range.ts";
import type { Aggregate, Reader, Select, StoredRow, Value } from "../store.ts";
import { rowSize } from "../row-size.ts";
import { createDecoder, encode, type SqliteValue } from "./codec.ts";
import { quote } from "./ddl.ts";
import type { StatementCache } from "./statements.ts";

type Decoder = (row: Record<string, SqliteValue>) => StoredRow;

/** The tables as the connections know them; replaced when a migration is applied. */
export class TableSet {
  readonly shapes: SchemaShape;
  readonly #tables = new Map<string, { readonly decode: Decoder; readonly get: string }>();

  constructor(shapes: SchemaShape) {
    this.shapes = shapes;
    for (const shape of shapes.values()) {
      this.#tables.set(shape.name, {
        decode: createDecoder(shape),
        get: `SELECT * FROM ${quote(shape.name)} WHERE id = ?`,
      });
    }
  }

  table(name: string): { readonly decode: Decoder; readonly get: string } {
    const table = this.#tables.get(name);
    if (table === undefined) throw new Error(`No table is named ${name}.`);
    return table;
  }
}

/** Reads over one connection. */
export class SqliteReader implements Reader {
  readonly #statements: StatementCache;
  readonly #tables: () => TableSet;

  readonly #beforeRead: () => void;

  /** @param beforeRead called before each read */
  constructor(statements: StatementCache, tables: () => TableSet, beforeRead: () => void) {
    this.#statements = statements;
    this.#tables = tables;
    this.#beforeRead = beforeRead;
  }

  async get(entity: string, id: string): Promise<StoredRow | null> {
    const table = this.#tables().table(entity);
    this.#beforeRead();
    const row = this.#statements.first(table.get, [id]);
    return row === null ? null : table.decode(row);
  }

  async select(query: Select): Promise<StoredRow[]> {
    const tables = this.#tables();
    const { text, params } = compileSelect(query, tables.shapes, sqlite);
    const rows = this.#upTo(query.maxBytes, text, params);
    return rows.map(tables.table(query.entity).decode);
  }

  async count(entity: string, where?: Expr): Promise<number> {
    const { text, params } = compileCount(entity, where, this.#tables().shapes, sqlite);
    return Number(this.#all(text, params)[0]?.["count"] ?? 0);
  }

  async aggregate(spec: Aggregate): Promise<Record<string, Value>[]> {
    const { text, params } = compileAggregate(spec, this.#tables().shapes, sqlite);
    const rows: Record<string, Value>[] = this.#aggregated(spec.maxBytes, text, params);
    const shape = this.#tables().shapes.get(spec.entity);
    for (const { field, as } of spec.groupBy) {
      if (shape?.fields.get(field) !== "bool") continue;
      for (const row of rows) if (row[as] !== null) row[as] = row[as] !== 0;
    }
    return rows;
  }

  /** @throws PylonError INVALID_QUERY when a sum of ints is beyond 64 bits */
  #aggregated(
    maxBytes: number | undefined,
    text: string,
    params: readonly Value[],
  ): Record<string, SqliteValue>[] {
    try {
      return this.#upTo(maxBytes, text, params);
    } catch (error) {
      throw error instanceof SQLiteError && error.message === "integer overflow"
        ? outOfRange()
        : error;
    }
  }

  async test(expr: Expr): Promise<boolean> {
    const { text, params } = compileTest(expr, this.#tables().shapes, sqlite);
    return this.#all(text, params)[0]?.["truth"] === 1;
  }

  #upTo(
    maxBytes: number | undefined,
    text: string,
    params: readonly Value[],
  ): Record<string, SqliteValue>[] {
    if (maxBytes === undefined) return this.#all(text, params);
    this.#beforeRead();
    let size = 0;
    return this.#statements.until(
      text,
      params.map(encode),
      (row) => (size += rowSize(row)) >= maxBytes,
    );
  }

  #all(text: string, params: readonly Value[]): Record<string, SqliteValue>[] {
    this.#beforeRead();
    return this.#statements.all(text, params.map(encode));
  }
}
