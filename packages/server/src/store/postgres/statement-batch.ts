import type { ClientBase, Connection, Submittable } from "pg";
import { toError } from "../../util/errors.ts";
import type { Value } from "../store.ts";
import { VALUE_PARSERS } from "./codec.ts";
import type { ColumnRow } from "./connection.ts";
import { parameterText, type Parameter } from "./parameters.ts";
import { PreparedNames, UNNAMED } from "./prepared-names.ts";

/** A statement with its parameters. */
export interface Statement {
  readonly text: string;
  readonly params: readonly Parameter[];
  /** Whether it only begins or sets up a transaction: it returns no rows and is not observed. */
  readonly isSetup?: boolean;
}

/** The rows that a statement returned, and the number of rows that it read or wrote. */
export interface StatementResult {
  readonly rows: ColumnRow[];
  readonly rowCount: number | null;
}

/** Messages of the server, as the driver parses them. */
interface RowDescription {
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[];
}
interface DataRow {
  readonly fields: readonly (string | null)[];
}
interface CommandComplete {
  readonly text: string;
}

interface ParsedColumn {
  readonly name: string;
  readonly parse: (text: string) => Value;
}

const ROW_COUNT = /\d+$/;

/**
 * Statements that are sent together, in one message each way. If one of them fails, the server
 * skips those after it: so a transaction can begin in the same batch as its first statements.
 *
 * The driver calls `submit` and the methods that handle the server's messages.
 */
export class StatementBatch implements Submittable {
  /** The maximum time to wait for the results, in milliseconds; 0: the limit of the connection. */
  readonly query_timeout: number;
  /** Called once. The driver replaces it by one that also ends the time limit. */
  callback: (error: Error | null) => void = () => undefined;
  readonly #results: StatementResult[] = [];
  readonly #statements: readonly Statement[];
  readonly #preparedAs: readonly (string | undefined)[];
  readonly #values: readonly (string | null)[][];
  #names: PreparedNames | null = null;
  #columns: readonly ParsedColumn[] = [];
  #rows: ColumnRow[] = [];
  #failure: Error | null = null;

  /**
   * @param preparedAs the name by which the connection keeps each statement prepared; undefined: it
   *   is parsed each time
   * @param timeoutMs see `query_timeout`
   * @throws TypeError for a parameter that JSON can't represent
   */
  constructor(
    statements: readonly Statement[],
    preparedAs: readonly (string | undefined)[],
    timeoutMs: number,
  ) {
    this.#statements = statements;
    this.#preparedAs = preparedAs;
    this.#values = statements.map(({ params }) => params.map(parameterText));
    this.query_timeout = timeoutMs;
  }

  /** The results of the statements that succeeded. */
  get results(): readonly StatementResult[] {
    return this.#results;
  }

  /** Sends the statements. @throws the error of the first one that fails */
  run(client: ClientBase): Promise<readonly StatementResult[]> {
    return new Promise((resolve, reject) => {
      this.callback = (error) => (error === null ? resolve(this.#results) : reject(error));
      client.query(this);
    });
  }

  readonly submit = (connection: Connection): null => {
    const names = (this.#names = PreparedNames.of(connection));
    const { stream } = connection;
    stream.cork();
    for (const [index, { text, isSetup }] of this.#statements.entries()) {
      const name = this.#preparedAs[index] ?? UNNAMED;
      if (names.mustParse(name)) connection.parse({ name, text, types: [] }, true);
      connection.bind({ statement: name, values: this.#values[index] }, true);
      if (isSetup !== true) connection.describe({ type: "P" }, true);
      connection.execute(null, true);
    }
    connection.sync();
    stream.uncork();
    return null;
  };

  handleRowDescription({ fields }: RowDescription): void {
    this.#columns = fields.map(({ name, dataTypeID }) => ({
      name,
      parse: VALUE_PARSERS.getTypeParser(dataTypeID, "text") as ParsedColumn["parse"],
    }));
  }

  handleDataRow({ fields }: DataRow): void {
    const row: ColumnRow = {};
    try {
      // By index, without an iterator: a page of rows has thousands of values.
      for (let index = 0; index < fields.length; index += 1) {
        const column = this.#columns[index];
        const text = fields[index] ?? null;
        if (column !== undefined) row[column.name] = text === null ? null : column.parse(text);
      }
    } catch (error) {
      this.#failure ??= toError(error);
    }
    this.#rows.push(row);
  }

  handleCommandComplete({ text }: CommandComplete): void {
    const [count] = ROW_COUNT.exec(text) ?? [];
    this.#results.push({ rows: this.#rows, rowCount: count === undefined ? null : Number(count) });
    this.#rows = [];
    this.#columns = [];
  }

  handleError(error: Error): void {
    this.#names?.failed();
    this.callback(error);
  }

  handleReadyForQuery(): void {
    this.callback(this.#failure);
  }
}
