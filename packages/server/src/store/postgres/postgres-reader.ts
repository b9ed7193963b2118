import type { EntityShape, Expr, SchemaShape } from "@pylonsync/query";
import {
  compileAggregate,
  compileCount,
  compileSelect,
  compileTest,
  postgres,
} from "../sql/index.ts";
import { asStoredRow, asStoredRows } from "../answered-rows.ts";
import { upTo } from "../row-size.ts";
import type { Aggregate, Reader, Select, StoredRow, Value } from "../store.ts";
import type { ColumnRow } from "./connection.ts";
import { quote } from "../sql/quote.ts";

/** The tables as this process knows them; replaced when a migration is applied. */
export class TableSet {
  readonly shapes: SchemaShape;
  readonly #gets = new Map<string, string>();

  constructor(shapes: SchemaShape) {
    this.shapes = shapes;
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
 * Runs a statement somewhere: on any connection, or on that of a transaction.
 *
 * @param isById it finds one row by its id
 */
export type Run = (text: string, params: readonly Value[], isById: boolean) => Promise<ColumnRow[]>;

/** Reads, over whatever runs them. */
export class PostgresReader implements Reader {
  readonly #run: Run;
  readonly #tables: () => TableSet;

  constructor(run: Run, tables: () => TableSet) {
    this.#run = run;
    this.#tables = tables;
  }

  async get(entity: string, id: string): Promise<StoredRow | null> {
    const [row] = await this.#run(this.#tables().getStatement(entity), [id], true);
    return row === undefined ? null : asStoredRow(row);
  }

  async select(query: Select): Promise<StoredRow[]> {
    const { text, params } = compileSelect(query, this.#tables().shapes, postgres);
    const rows = asStoredRows(await this.#run(text, params, false));
    return query.maxBytes === undefined ? rows : upTo(rows, query.maxBytes);
  }

  async count(entity: string, where?: Expr): Promise<number> {
    const { text, params } = compileCount(entity, where, this.#tables().shapes, postgres);
    return Number((await this.#run(text, params, false))[0]?.["count"] ?? 0);
  }

  async aggregate(spec: Aggregate): Promise<Record<string, Value>[]> {
    const { text, params } = compileAggregate(spec, this.#tables().shapes, postgres);
    const rows = await this.#run(text, params, false);
    return spec.maxBytes === undefined ? rows : upTo(rows, spec.maxBytes);
  }

  async test(expr: Expr): Promise<boolean> {
    const { text, params } = compileTest(expr, this.#tables().shapes, postgres);
    return (await this.#run(text, params, false))[0]?.["truth"] === 1;
  }
}
