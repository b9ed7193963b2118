import { sha256 } from "../../util/sha256.ts";
import { quote } from "./quote.ts";

/** Longer names of entities would result in names that Postgres truncates, at 63 characters. */
const MAX_ENTITY = 40;

/**
 * The tables of an entity's search index. Names of entities contain no dots, so these names differ
 * from those of entities' tables, and of the tables that FTS5 creates beside its own.
 */
export interface SearchTables {
  /** SQLite: the FTS5 table. Postgres: `id`, `doc` and, for typos, `words`. */
  readonly index: string;
  /** SQLite: maps `id` of each row to its number in the FTS5 table, `doc`. */
  readonly numbers: string;
  /** SQLite: all words of the index, as `term`. */
  readonly vocabulary: string;
}

/** The names of the tables, quoted. */
export function searchTables(entity: string): SearchTables {
  return {
    index: searchName(entity, "search"),
    numbers: searchName(entity, "numbers"),
    vocabulary: searchName(entity, "words"),
  };
}

/** The name of a part of an entity's search index, quoted. */
export function searchName(entity: string, part: string): string {
  const owner = entity.length <= MAX_ENTITY ? entity : sha256(entity).slice(0, MAX_ENTITY);
  return quote(`_pylon.${owner}.${part}`);
}

/**
 * The prefix of the key in `_pylon_meta` that stores the progress of adding the rows to an index.
 */
export const FILL_KEY = "search_fill:";
/** The number of rows that are added to an index per transaction. */
export const FILL_CHUNK = 2_000;
