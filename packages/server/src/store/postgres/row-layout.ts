import type { Value } from "../store.ts";
import { VALUE_PARSERS } from "./codec.ts";
import type { ColumnRow } from "./connection.ts";

/** A column, as the driver parses its description. */
export interface ColumnDescription {
  readonly name: string;
  readonly dataTypeID: number;
}

/** The columns of the rows of a statement. */
export class RowLayout {
  readonly #names: readonly string[];
  readonly #parsers: readonly ((text: string) => Value)[];
  /** A row of nulls. Its copies share one layout in memory. */
  readonly #empty: ColumnRow;

  constructor(columns: readonly ColumnDescription[]) {
    this.#names = columns.map(({ name }) => name);
    this.#parsers = columns.map(({ dataTypeID }) => VALUE_PARSERS.getTypeParser(dataTypeID));
    this.#empty = Object.fromEntries(columns.map(({ name }) => [name, null]));
  }

  /** Returns a row with its values. @param texts the values as the server sends them */
  rowOf(texts: readonly (string | null)[]): ColumnRow {
    const row = { ...this.#empty };
    const names = this.#names;
    const parsers = this.#parsers;
    for (let index = 0; index < names.length; index += 1) {
      const text = texts[index];
      const name = names[index];
      const parse = parsers[index];
      if (typeof text === "string" && name !== undefined && parse !== undefined)
        row[name] = parse(text);
    }
    return row;
  }
}

/** The layout of a statement that returns no rows. */
export const NO_COLUMNS = new RowLayout([]);
