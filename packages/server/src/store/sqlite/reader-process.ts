/**
 * A process that reads a database for the server. SQLite can't be interrupted from JavaScript, and
 * a thread that runs a statement can't be ended; a process can.
 *
 * It imports very little, so that it starts within milliseconds and uses only a few megabytes.
 */
import { Database, type Statement } from "bun:sqlite";
import { rowSize } from "../row-size.ts";
import type { SqliteValue } from "./codec.ts";
import type {
  InfiniteValue,
  ReadAnswer,
  ReaderMessage,
  ReadRequest,
  ReadRow,
} from "./reader-protocol.ts";

const MAX_STATEMENTS = 100;

/**
 * Serves the requests of the parent process until the parent exits.
 *
 * @param path the absolute path of an existing database
 */
export function serveReads(path: string): void {
  // Opened at the first read, so that with a damaged file this read fails with the reason.
  let statements: Statements | null = null;
  process.on("disconnect", () => process.exit(0));
  process.on("message", (request: ReadRequest) =>
    send(answer(() => (statements ??= openStatements(path)), request)),
  );
  send("ready");
}

function openStatements(path: string): Statements {
  const database = new Database(path, { readwrite: true, create: false });
  database.run("PRAGMA query_only = ON");
  database.run("PRAGMA busy_timeout = 5000");
  database.run("PRAGMA cache_size = -4000");
  return new Statements(database);
}

function answer(statements: () => Statements, { text, params, maxBytes }: ReadRequest): ReadAnswer {
  try {
    const statement = statements().get(text);
    const rows =
      maxBytes === undefined
        ? statement.all(...params)
        : rowsUpTo(statement.iterate(...params), maxBytes);
    return { rows, infinite: infiniteOf(rows) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return {
      error: { message: error.message, code: "code" in error ? String(error.code) : error.name },
    };
  }
}

function infiniteOf(rows: readonly ReadRow[]): InfiniteValue[] {
  const found: InfiniteValue[] = [];
  for (const [row, values] of rows.entries()) {
    for (const column in values) {
      const value = values[column];
      if (value === Infinity || value === -Infinity)
        found.push({ row, column, isNegative: value < 0 });
    }
  }
  return found;
}

function rowsUpTo(found: Iterable<ReadRow>, maxBytes: number): ReadRow[] {
  const rows: ReadRow[] = [];
  let size = 0;
  for (const row of found) {
    rows.push(row);
    if ((size += rowSize(row)) >= maxBytes) break;
  }
  return rows;
}

/** @throws Error if there is no parent process */
function send(message: ReaderMessage): void {
  if (process.send === undefined) throw new Error("A reader process must be started by a server.");
  process.send(message);
}

/** The most recent prepared statements. */
class Statements {
  readonly #database: Database;
  readonly #known = new Map<string, Statement<ReadRow, SqliteValue[]>>();

  constructor(database: Database) {
    this.#database = database;
  }

  get(text: string): Statement<ReadRow, SqliteValue[]> {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const [oldest] = this.#known;
    if (oldest !== undefined && this.#known.size >= MAX_STATEMENTS) {
      this.#known.delete(oldest[0]);
      oldest[1].finalize();
    }
    const statement = this.#database.prepare<ReadRow, SqliteValue[]>(text);
    this.#known.set(text, statement);
    return statement;
  }
}
