import type { Connection } from "pg";

/** The name of a statement that is not kept. */
export const UNNAMED = "";

const NAMES = new WeakMap<Connection, PreparedNames>();

/** The names of the statements that one connection keeps prepared. */
export class PreparedNames {
  readonly #prepared = new Set<string>();
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

  /** After a failed statement the server parses none of those that were sent with it. */
  failed(): void {
    this.#asked.length = 0;
  }

  #parsed(): void {
    const name = this.#asked.shift() ?? UNNAMED;
    if (name !== UNNAMED) this.#prepared.add(name);
  }
}
