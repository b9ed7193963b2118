import { sha256 } from "../../util/sha256.ts";
import { quote } from "./quote.ts";

/** A longer name of an entity would make names that Postgres cuts off, at 63 characters. */
const MAX_ENTITY = 40;

/**
 * The tables of an entity's search index. No entity has a point in its name, so no name meets that
 * of an entity's table, or of a table that FTS5 makes beside its own.
 */
export interface SearchTables {
  /** SQLite: the FTS5 table. Postgres: `id`, `doc` and, for typos, `words`. */
  readonly index: string;
  /** SQLite: the number of each row in the FTS5 table, as `doc` and `id`. */
  readonly numbers: string;
  /** SQLite: all words of the index, as `term`. */
  readonly vocabulary: string;
}

/** Their names, quoted. */
export function searchTables(entity: string): SearchTables {
  return {
    index: searchName(entity, "search"),
    numbers: searchName(entity, "numbers"),
    vocabulary: searchName(entity, "words"),
  };
}

/** The name of something that belongs to an entity's search index, quoted. */
export function searchName(entity: string, part: string): string {
  const owner = entity.length <= MAX_ENTITY ? entity : sha256(entity).slice(0, MAX_ENTITY);
  return quote(`_pylon.${owner}.${part}`);
}

/** The key in `_pylon_meta` that says how far the rows have come into an index. */
export const FILL_KEY = "search_fill:";
/** Rows that come into an index in one transaction. */
export const FILL_CHUNK = 2_000;
