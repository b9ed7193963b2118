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
import { isBoundedCount, isBoundedSelect, isBoundedTest, type IndexesOf } from "./bounded-reads.ts";
import { createDecoder, encode, type SqliteValue } from "./codec.ts";
import { quote } from "../sql/quote.ts";

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

type Row = Record<string, SqliteValue>;

/** What runs the statements of a reader. */
export interface StatementSource {
  /** The row of a table with an id, or null. */
  first(text: string, params: readonly SqliteValue[]): Row | null | Promise<Row | null>;
  /** The rows that a statement reads. */
  all(text: string, params: readonly SqliteValue[], bounds: ReadBounds): Row[] | Promise<Row[]>;
}

/** How much a read may take. */
export interface ReadBounds {
  /** Whether its tree says that it is short. */
  readonly isBounded: (indexesOf: IndexesOf) => boolean;
  /** As in Select. */
  readonly maxBytes?: number | undefined;
}

/** Compiles reads, and turns what they find into rows. */
export class SqliteReader implements Reader {
  readonly #source: StatementSource;
  readonly #tables: () => TableSet;

  constructor(source: StatementSource, tables: () => TableSet) {
    this.#source = source;
    this.#tables = tables;
  }

  async get(entity: string, id: string): Promise<StoredRow | null> {
    const table = this.#tables().table(entity);
    const row = await this.#source.first(table.get, [id]);
    return row === null ? null : table.decode(row);
  }

  async select(query: Select): Promise<StoredRow[]> {
    const tables = this.#tables();
    const { text, params } = compileSelect(query, tables.shapes, sqlite);
    const rows = await this.#source.all(text, params.map(encode), {
      isBounded: (indexesOf) => isBoundedSelect(query, indexesOf),
      maxBytes: query.maxBytes,
    });
    return rows.map(tables.table(query.entity).decode);
  }

  async count(entity: string, where?: Expr): Promise<number> {
    const { text, params } = compileCount(entity, where, this.#tables().shapes, sqlite);
    const rows = await this.#source.all(text, params.map(encode), {
      isBounded: (indexesOf) => where !== undefined && isBoundedCount(entity, where, indexesOf),
    });
    return Number(rows[0]?.["count"] ?? 0);
  }

  async aggregate(spec: Aggregate): Promise<Record<string, Value>[]> {
    const { shapes } = this.#tables();
    const { text, params } = compileAggregate(spec, shapes, sqlite);
    const rows: Record<string, Value>[] = await this.#aggregated(
      text,
      params.map(encode),
      spec.maxBytes,
    );
    const shape = shapes.get(spec.entity);
    for (const { field, as } of spec.groupBy) {
      if (shape?.fields.get(field) !== "bool") continue;
      for (const row of rows) if (row[as] !== null) row[as] = row[as] !== 0;
    }
    return rows;
  }

  /** @throws PylonError INVALID_QUERY when a sum of ints is beyond 64 bits */
  async #aggregated(
    text: string,
    params: readonly SqliteValue[],
    maxBytes: number | undefined,
  ): Promise<Row[]> {
    try {
      return await this.#source.all(text, params, { isBounded: () => false, maxBytes });
    } catch (error) {
      throw error instanceof Error && error.message === "integer overflow" ? outOfRange() : error;
    }
  }

  async test(expr: Expr): Promise<boolean> {
    const { text, params } = compileTest(expr, this.#tables().shapes, sqlite);
    const rows = await this.#source.all(text, params.map(encode), {
      isBounded: (indexesOf) => isBoundedTest(expr, indexesOf),
    });
    return rows[0]?.["truth"] === 1;
  }
}
