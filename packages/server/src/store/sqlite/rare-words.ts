import { searchTables } from "../sql/search-tables.ts";
import type { TextSearch } from "../store.ts";
import { MAX_ROWS } from "./bounded-reads.ts";
import type { SqliteValue } from "./codec.ts";

/** A search with more words is not probed. */
const MAX_PROBES = 4;
/**
 * Words that are one token for FTS5, whatever its tables of letters are: the rows with several
 * tokens in succession can be few and take long to find.
 */
const ONE_TOKEN = /^[a-z0-9\u00df-\u024f]+$/;

/** A statement that returns a row if a read may take long. It is short itself. */
export interface Probe {
  readonly text: string;
  readonly params: readonly SqliteValue[];
}

/**
 * Returns a statement for each word of a search, which returns a row if many rows contain the word.
 * Each word must be rare: the rank of a row depends on the number of rows with each of the words,
 * which FTS5 counts one by one.
 *
 * @returns null if the search may take long regardless of the frequency of its words
 */
export function rareWordProbes(entity: string, { words, index }: TextSearch): Probe[] | null {
  // A prefix or an alternative stands for any number of words.
  if (index.prefix || index.typos || words.length > MAX_PROBES) return null;
  if (!words.every((word) => ONE_TOKEN.test(word))) return null;
  const table = searchTables(entity).index;
  const text = `SELECT rowid FROM ${table} WHERE ${table} MATCH ? LIMIT 1 OFFSET ${MAX_ROWS}`;
  return words.map((word) => ({ text, params: [`"${word}"`] }));
}
