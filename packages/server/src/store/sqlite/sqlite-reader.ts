import type { Expr, SchemaShape } from "@pylonsync/query";
import {
  compileAggregate,
  compileSearchPage,
  compileSelect,
  compileTest,
  compileCount,
  sqlite,
  TOTAL,
} from "../sql/index.ts";
import { outOfRange } from "../number-range.ts";
import { groupKind, resultKind } from "../result-kind.ts";
import type { Aggregate, Found, Reader, SearchSelect, Select, StoredRow, Value } from "../store.ts";
import { isBoundedCount, isBoundedSelect, isBoundedTest, type IndexesOf } from "./bounded-reads.ts";
import { insertStatementOf } from "./insert-statement.ts";
import { createDecoder, createEncoder, decodeOne, encode, type SqliteValue } from "./codec.ts";
import { quote } from "../sql/quote.ts";
import type { PreparedSearch } from "../sql/compile-search.ts";
import { nearlyWords } from "./nearly-words.ts";

type Decoder = (row: Record<string, SqliteValue>) => StoredRow;

interface Table {
  readonly decode: Decoder;
  readonly encode: ReturnType<typeof createEncoder>;
  readonly get: string;
  /** The statement that inserts a row with these columns. */
  readonly insert: (columns: readonly string[]) => string;
}

/** The tables as the connections know them; replaced after a migration. */
export class TableSet {
  readonly shapes: SchemaShape;
  readonly #tables = new Map<string, Table>();

  constructor(shapes: SchemaShape) {
    this.shapes = shapes;
    for (const shape of shapes.values()) {
      this.#tables.set(shape.name, {
        decode: createDecoder(shape),
        encode: createEncoder(shape),
        get: `SELECT * FROM ${quote(shape.name)} WHERE id = ?`,
        insert: insertStatementOf(shape.name),
      });
    }
  }

  table(name: string): Table {
    const table = this.#tables.get(name);
    if (table === undefined) throw new Error(`No table is named ${name}.`);
    return table;
  }
}

type Row = Record<string, SqliteValue>;

/** Runs the statements of a reader. */
export interface StatementSource {
  /** The row of a table with an id, or null. */
  first(text: string, params: readonly SqliteValue[]): Row | null | Promise<Row | null>;
  /** The rows that a statement returns. */
  all(text: string, params: readonly SqliteValue[], bounds: ReadBounds): Row[] | Promise<Row[]>;
}

/** The limits of a read. */
export interface ReadBounds {
  /** Whether the tree of the read guarantees that it is short. */
  readonly isBounded: (indexesOf: IndexesOf) => boolean;
  /** As in Select. */
  readonly maxBytes?: number | undefined;
}

/** Compiles reads, and decodes their results. */
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
    // A short read runs immediately, before any other work.
    const prepared =
      query.search === undefined ? query : { ...query, search: await this.#prepared(query) };
    const { text, params } = compileSelect(prepared, tables.shapes, sqlite);
    const rows = await this.#source.all(text, params.map(encode), {
      isBounded: (indexesOf) => isBoundedSelect(query, indexesOf),
      maxBytes: query.maxBytes,
    });
    return rows.map(tables.table(query.entity).decode);
  }

  /** The statement of a read. */
  statementOf(query: Select): string {
    return compileSelect(query, this.#tables().shapes, sqlite).text;
  }

  async search(query: SearchSelect): Promise<Found> {
    const tables = this.#tables();
    const search = (await this.#prepared(query)) ?? query.search;
    const { text, params } = compileSearchPage({ ...query, search }, tables.shapes, sqlite);
    const found = await this.#source.all(text, params.map(encode), {
      isBounded: () => false,
      maxBytes: query.maxBytes,
    });
    const total = found[0]?.[TOTAL] ?? (await this.#totalOf(query));
    const rows = found.map(({ [TOTAL]: _total, ...row }) => row);
    return { rows: rows.map(tables.table(query.entity).decode), total: Number(total) };
  }

  /** Beyond the last page, no row contains the total number. */
  async #totalOf({ entity, where, search, offset = 0 }: SearchSelect): Promise<Value> {
    if (offset === 0) return 0;
    const count = { fn: "count", as: "count" } as const;
    const [row] = await this.aggregate({ entity, where, search, groupBy: [], measures: [count] });
    return row?.["count"] ?? 0;
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
    const prepared =
      spec.search === undefined ? spec : { ...spec, search: await this.#prepared(spec) };
    const { text, params } = compileAggregate(prepared, shapes, sqlite);
    const rows: Record<string, Value>[] = await this.#aggregated(
      text,
      params.map(encode),
      spec.maxBytes,
    );
    decodeResults(rows, spec, shapes);
    return rows;
  }

  /** The search of a read, with similar words. */
  async #prepared({ entity, search }: Select): Promise<PreparedSearch | undefined> {
    if (search?.index.typos !== true) return search;
    return { ...search, alternatives: await nearlyWords(entity, search, this.#source) };
  }

  /** @throws PylonError INVALID_QUERY if a sum of ints exceeds 64 bits */
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

/**
 * Decodes the results of an aggregate, in place.
 *
 * @throws PylonError INVALID_QUERY for a sum of decimals that is out of range
 */
function decodeResults(
  rows: readonly Record<string, Value>[],
  { entity, groupBy, measures }: Aggregate,
  shapes: SchemaShape,
): void {
  const shape = shapes.get(entity);
  if (shape === undefined) return;
  const keys = groupBy.map((group) => ({ as: group.as, kind: groupKind(group, entity, shapes) }));
  const numbers = measures.map((measure) => ({
    as: measure.as,
    kind: resultKind(measure, shape),
  }));
  for (const { as, kind } of [...keys, ...numbers]) {
    if (kind !== "bool" && kind !== "decimal") continue;
    for (const row of rows) {
      const value = row[as] ?? null;
      const decoded = typeof value === "object" ? null : decodeOne(kind, encode(value));
      if (decoded === undefined) throw outOfRange(as);
      row[as] = decoded;
    }
  }
}
