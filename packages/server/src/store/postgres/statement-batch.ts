import type { ClientBase, Connection, Submittable } from "pg";
import { toError } from "../../util/errors.ts";
import type { ColumnRow } from "./connection.ts";
import { parameterText, type Parameter } from "./parameters.ts";
import { PreparedNames, UNNAMED } from "./prepared-names.ts";
import { NO_COLUMNS, RowLayout, type ColumnDescription } from "./row-layout.ts";

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
  readonly fields: readonly ColumnDescription[];
}
interface DataRow {
  readonly fields: readonly (string | null)[];
}
interface CommandComplete {
  readonly text: string;
}

const ROW_COUNT = /\d+$/;
const OF_PORTAL = { type: "P" };

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
  /** The layout of the rows of each statement; absent if the server will describe it. */
  readonly #layouts: (RowLayout | undefined)[] = [];
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

  submit(connection: Connection): null {
    const names = (this.#names = PreparedNames.of(connection));
    const { stream } = connection;
    stream.cork();
    for (let index = 0; index < this.#statements.length; index += 1) {
      const { text = "", isSetup = false } = this.#statements[index] ?? {};
      const name = this.#preparedAs[index] ?? UNNAMED;
      const layout = isSetup ? NO_COLUMNS : names.layoutOf(name);
      this.#layouts.push(layout);
      if (names.mustParse(name)) connection.parse({ name, text, types: [] }, true);
      connection.bind({ statement: name, values: this.#values[index] }, true);
      if (layout === undefined) connection.describe(OF_PORTAL, true);
      connection.execute(null, true);
    }
    connection.sync();
    stream.uncork();
    return null;
  }

  handleRowDescription({ fields }: RowDescription): void {
    this.#layouts[this.#results.length] = new RowLayout(fields);
  }

  handleDataRow({ fields }: DataRow): void {
    try {
      const layout = this.#layouts[this.#results.length] ?? NO_COLUMNS;
      this.#rows.push(layout.rowOf(fields));
    } catch (error) {
      this.#failure ??= toError(error);
    }
  }

  handleCommandComplete({ text }: CommandComplete): void {
    const index = this.#results.length;
    this.#names?.learn(this.#preparedAs[index] ?? UNNAMED, this.#layouts[index] ?? NO_COLUMNS);
    const [count] = ROW_COUNT.exec(text) ?? [];
    this.#results.push({ rows: this.#rows, rowCount: count === undefined ? null : Number(count) });
    this.#rows = [];
  }

  handleError(error: Error): void {
    this.#names?.failed();
    this.callback(error);
  }

  handleReadyForQuery(): void {
    this.callback(this.#failure);
  }
}
