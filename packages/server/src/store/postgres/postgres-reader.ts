import type { EntityShape, Expr, SchemaShape } from "@pylonsync/query";
import {
  compileAggregate,
  compileCount,
  compileSearchPage,
  compileSelect,
  compileTest,
  postgres,
  TOTAL,
} from "../sql/index.ts";
import { asStoredRow, asStoredRows } from "../answered-rows.ts";
import { upTo } from "../row-size.ts";
import { postgresPlan } from "../sql/query-plan.ts";
import type {
  Aggregate,
  Found,
  QueryPlan,
  Reader,
  SearchSelect,
  Select,
  StoredRow,
  Value,
} from "../store.ts";
import type { ColumnRow } from "./connection.ts";
import type { PreparedSearch } from "../sql/compile-search.ts";
import { quote } from "../sql/quote.ts";

/** The tables as this process knows them; replaced after a migration. */
export class TableSet {
  readonly shapes: SchemaShape;
  readonly hasTrigrams: boolean;
  readonly #gets = new Map<string, string>();

  constructor(shapes: SchemaShape, hasTrigrams = false) {
    this.shapes = shapes;
    this.hasTrigrams = hasTrigrams;
    for (const { name, fields } of shapes.values()) {
      this.#gets.set(
        name,
        `SELECT ${[...fields.keys()].map(quote).join(", ")} FROM ${quote(name)} WHERE id = $1`,
      );
    }
  }

  shape(name: string): EntityShape {
    const shape = this.shapes.get(name);
    if (shape === undefined) throw new Error(`No table is named ${name}.`);
    return shape;
  }

  /** The statement that reads a row by its id. */
  getStatement(name: string): string {
    this.shape(name);
    return this.#gets.get(name) ?? "";
  }
}

/**
 * Runs a statement on any connection, or on that of a transaction.
 *
 * @param isById whether it reads one row by its id
 */
export type Run = (text: string, params: readonly Value[], isById: boolean) => Promise<ColumnRow[]>;

/** Compiles reads, for any way of running them. */
export class PostgresReader implements Reader {
  readonly #run: Run;
  readonly #tables: () => TableSet;

  constructor(run: Run, tables: () => TableSet) {
    this.#run = run;
    this.#tables = tables;
  }

  #prepared({ search }: Select): PreparedSearch | undefined {
    return search === undefined
      ? undefined
      : { ...search, hasTrigrams: this.#tables().hasTrigrams };
  }

  async get(entity: string, id: string): Promise<StoredRow | null> {
    const [row] = await this.#run(this.#tables().getStatement(entity), [id], true);
    return row === undefined ? null : asStoredRow(row);
  }

  async select(query: Select): Promise<StoredRow[]> {
    const prepared = { ...query, search: this.#prepared(query) };
    const { text, params } = compileSelect(prepared, this.#tables().shapes, postgres);
    const rows = asStoredRows(await this.#run(text, params, false));
    return query.maxBytes === undefined ? rows : upTo(rows, query.maxBytes);
  }

  /** As in Store. */
  async explain(query: Select): Promise<QueryPlan> {
    const { text, params } = compileSelect(query, this.#tables().shapes, postgres);
    const lines = await this.#run(`EXPLAIN (COSTS OFF) ${text}`, params, false);
    return postgresPlan(
      text,
      lines.map((line) => String(line["QUERY PLAN"])),
    );
  }

  async search(query: SearchSelect): Promise<Found> {
    const search = this.#prepared(query) ?? query.search;
    const { text, params } = compileSearchPage(
      { ...query, search },
      this.#tables().shapes,
      postgres,
    );
    const found = await this.#run(text, params, false);
    const total = found[0]?.[TOTAL] ?? (await this.#totalOf(query));
    const rows = asStoredRows(found.map(({ [TOTAL]: _total, ...row }) => row));
    return {
      rows: query.maxBytes === undefined ? rows : upTo(rows, query.maxBytes),
      total: Number(total),
    };
  }

  /** Beyond the last page, no row contains the total number. */
  async #totalOf({ entity, where, search, offset = 0 }: SearchSelect): Promise<Value> {
    if (offset === 0) return 0;
    const count = { fn: "count", as: "count" } as const;
    const [row] = await this.aggregate({ entity, where, search, groupBy: [], measures: [count] });
    return row?.["count"] ?? 0;
  }

  async count(entity: string, where?: Expr): Promise<number> {
    const { text, params } = compileCount(entity, where, this.#tables().shapes, postgres);
    return Number((await this.#run(text, params, false))[0]?.["count"] ?? 0);
  }

  async aggregate(spec: Aggregate): Promise<Record<string, Value>[]> {
    const prepared = { ...spec, search: this.#prepared(spec) };
    const { text, params } = compileAggregate(prepared, this.#tables().shapes, postgres);
    const rows = await this.#run(text, params, false);
    return spec.maxBytes === undefined ? rows : upTo(rows, spec.maxBytes);
  }

  async test(expr: Expr): Promise<boolean> {
    const { text, params } = compileTest(expr, this.#tables().shapes, postgres);
    return (await this.#run(text, params, false))[0]?.["truth"] === 1;
  }
}
