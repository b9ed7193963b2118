import { sha256 } from "../../../util/sha256.ts";

const DEFINITION = /CREATE OR REPLACE FUNCTION (\w+)/g;
const COMMENT = /^\s*--.*\n/gm;

/**
 * Functions in a database that replicas of several versions share: each version has its own, with a
 * hash of the sources in their names. Those of earlier versions remain, because a replica may still
 * call them.
 */
export class VersionedFunctions {
  /** The statements that create the functions; each may be run again. */
  readonly statements: readonly string[];
  readonly #names: ReadonlyMap<string, string>;
  readonly #prefix: string;

  /**
   * @param prefix the prefix of the functions' names in the sources
   * @param sources SQL that defines the functions and calls them by these names
   */
  constructor(prefix: string, sources: readonly string[]) {
    const text = sources.join("\n");
    const version = sha256(text.replaceAll(COMMENT, "")).slice(0, 8);
    this.#prefix = prefix;
    this.#names = new Map(
      Array.from(text.matchAll(DEFINITION), ([, name = ""]) => [name, `"_${name}_${version}"`]),
    );
    this.statements = sources.map((source) => this.resolve(source));
  }

  /**
   * The quoted name of a function in the database.
   *
   * @param name without the prefix
   * @throws Error if no source defines it
   */
  nameOf(name: string): string {
    const found = this.#names.get(`${this.#prefix}${name}`);
    if (found === undefined) throw new Error(`There is no function "${this.#prefix}${name}".`);
    return found;
  }

  /** Replaces the names of functions in SQL by those in the database. */
  resolve(source: string): string {
    return source.replaceAll(new RegExp(`\\b${this.#prefix}(\\w+)`, "g"), (_, name: string) =>
      this.nameOf(name),
    );
  }
}
