import type { Connection } from "pg";
import type { RowLayout } from "./row-layout.ts";

/** The name of a statement that is not kept. */
export const UNNAMED = "";

const NAMES = new WeakMap<Connection, PreparedNames>();

/** The statements that one connection keeps prepared, by their names. */
export class PreparedNames {
  readonly #prepared = new Set<string>();
  readonly #layouts = new Map<string, RowLayout>();
  /** The names of statements that the server was asked to parse, and has not yet. */
  readonly #asked: string[] = [];

  /** Returns the names of a connection. */
  static of(connection: Connection): PreparedNames {
    const known = NAMES.get(connection);
    if (known !== undefined) return known;
    const names = new PreparedNames();
    NAMES.set(connection, names);
    connection.on("parseComplete", () => names.#parsed());
    return names;
  }

  /**
   * Whether the statement must be parsed before it is used. The caller must then ask the server for
   * it.
   */
  mustParse(name: string): boolean {
    if (name !== UNNAMED && (this.#prepared.has(name) || this.#asked.includes(name))) return false;
    this.#asked.push(name);
    return true;
  }

  /**
   * Returns the layout of the rows of a prepared statement: the server need not describe it again,
   * because a statement whose columns have changed fails. Undefined if it is not known.
   */
  layoutOf(name: string): RowLayout | undefined {
    return this.#layouts.get(name);
  }

  /** Keeps the layout of the rows of a statement. */
  learn(name: string, layout: RowLayout): void {
    if (name !== UNNAMED) this.#layouts.set(name, layout);
  }

  /** After a failed statement the server parses none of those that were sent with it. */
  failed(): void {
    this.#asked.length = 0;
  }

  #parsed(): void {
    const name = this.#asked.shift() ?? UNNAMED;
    if (name !== UNNAMED) this.#prepared.add(name);
  }
}
